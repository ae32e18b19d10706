"""A whole training loop by hand, written once for every engine: an actor and a critic learn to balance a pole.

    UNIDL_BACKEND=tensorflow python examples/custom_loop.py

`unidl.value_and_grad` differentiates, `unidl.jit` compiles where the engine can, two optimizers train two networks. The
task is the cart and pole of A. Barto, R. Sutton & C. Anderson (IEEE Trans. SMC 13, 1983), 32 of them side by side in
NumPy; the method is advantage actor-critic (V. Mnih et al., arXiv:1602.01783). A random policy keeps the pole up for
about 22 steps; 500 are the most.
"""

from __future__ import annotations

import os

import numpy as np

import unidl
from unidl import layers, ops

FAST = os.environ.get("UNIDL_EXAMPLE_FAST") == "1"
CARTS, STEPS, UPDATES = 32, 16, 50 if FAST else 400
DISCOUNT, LIMIT = 0.99, 500

unidl.utils.set_random_seed(1)
random = np.random.default_rng(1)


class Carts:
    """Carts with poles. State: position (m), speed (m/s), angle (rad), angular speed (rad/s), a row for each cart."""

    def __init__(self, count: int) -> None:
        self.state = random.uniform(-0.05, 0.05, (count, 4))
        self.age = np.zeros(count, int)
        self.finished: list[int] = []  # lengths of the episodes that have ended

    def step(self, push_right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Push each cart for 0.02 s. Returns which fell, and which were stopped at the limit."""
        _, speed, angle, turning = self.state.T
        force = np.where(push_right, 10.0, -10.0)
        sin, cos = np.sin(angle), np.cos(angle)
        push = (force + 0.05 * turning**2 * sin) / 1.1
        angular = (9.8 * sin - cos * push) / (0.5 * (4 / 3 - 0.1 * cos**2 / 1.1))
        linear = push - 0.05 * angular * cos / 1.1
        self.state = self.state + 0.02 * np.stack([speed, linear, turning, angular], 1)
        self.age += 1
        fell = (np.abs(self.state[:, 0]) > 2.4) | (np.abs(self.state[:, 2]) > 0.2095)
        stopped = ~fell & (self.age >= LIMIT)
        return fell, stopped

    def restart(self, which: np.ndarray) -> None:
        self.finished += self.age[which].tolist()
        self.state[which] = random.uniform(-0.05, 0.05, (int(which.sum()), 4))
        self.age[which] = 0


def network(outputs: int, name: str) -> unidl.Model:
    x = unidl.Input((4,))
    hidden = layers.Dense(64, activation="tanh")(x)
    return unidl.Model(x, layers.Dense(outputs)(hidden), name=name)


actor, critic = network(2, "actor"), network(1, "critic")
actor_optimizer, critic_optimizer = unidl.optimizers.Adam(1e-3), unidl.optimizers.Adam(5e-3)


@unidl.jit
def act(states):
    return ops.softmax(actor(states)), ops.squeeze(critic(states), -1)


@unidl.jit
def learn(states, actions, returns):
    """One step of both networks on what the carts have just lived through."""

    def critic_loss():
        values = ops.squeeze(critic(states), -1)
        return ops.mean(ops.square(returns - values)), values

    def actor_loss():
        log_p = ops.log_softmax(actor(states))
        chosen = ops.sum(log_p * ops.one_hot(actions, 2), -1)
        entropy = -ops.mean(ops.sum(ops.exp(log_p) * log_p, -1))
        return -ops.mean(chosen * advantage) - 0.01 * entropy

    (loss, values), gradients = unidl.value_and_grad(critic_loss, critic, has_aux=True)()
    critic_optimizer.apply(gradients, critic.trainable_variables)
    advantage = ops.stop_gradient(returns - values)
    _, gradients = unidl.value_and_grad(actor_loss, actor)()
    actor_optimizer.apply(gradients, actor.trainable_variables)
    return loss


# Optimizers make their state here, outside of what is compiled.
actor_optimizer.build(actor.trainable_variables)
critic_optimizer.build(critic.trainable_variables)

carts = Carts(CARTS)
for update in range(UPDATES):
    seen, taken, rewards, ended, bootstrap = [], [], [], [], []
    for _ in range(STEPS):
        states = carts.state.astype("float32")
        p = ops.convert_to_numpy(act(states)[0])
        actions = random.random(CARTS) < p[:, 1]
        fell, stopped = carts.step(actions)
        # A cart that was only stopped would have gone on: its future counts by the critic's estimate.
        future = ops.convert_to_numpy(act(carts.state.astype("float32"))[1]) if stopped.any() else np.zeros(CARTS)
        seen.append(states)
        taken.append(actions)
        rewards.append(1.0 + DISCOUNT * np.where(stopped, future, 0.0))
        ended.append(fell | stopped)
        carts.restart(fell | stopped)
    following = ops.convert_to_numpy(act(carts.state.astype("float32"))[1])
    returns = np.zeros((STEPS, CARTS), "float32")
    for t in reversed(range(STEPS)):
        following = rewards[t] + DISCOUNT * np.where(ended[t], 0.0, following)
        returns[t] = following
    learn(
        ops.convert_to_tensor(np.concatenate(seen)),
        ops.convert_to_tensor(np.concatenate(taken).astype("int32")),
        ops.convert_to_tensor(returns.reshape(-1)),
    )
    if (update + 1) % (UPDATES // 5) == 0:
        print(f"update {update + 1:3}: the last 50 episodes took {np.mean(carts.finished[-50:]):.0f} steps on average")

before, after = float(np.mean(carts.finished[:50])), float(np.mean(carts.finished[-50:]))
print(f"backend {unidl.backend.backend()}: episodes took {before:.0f} steps at first and {after:.0f} at the end")
