"""Random numbers, many of them, and means of their powers; frequencies of classes."""

import cntk
import numpy as np

MANY = 200000
WEIGHTS = np.array([1, 3, 0, 4, 2], np.float32)


def _moments(numbers):
    powers = [numbers, numbers * numbers, numbers * numbers * numbers]
    return cntk.combine([cntk.reduce_mean(power, cntk.Axis.all_axes()) for power in powers])


def uniform_numbers():
    return _moments(cntk.random.uniform(MANY, low=-1, high=3)), {}


def normal_numbers_of_double():
    return _moments(cntk.random.normal((MANY // 4, 4), dtype=np.float64, mean=0.5, scale=0.7)), {}


def gumbel_numbers():
    return _moments(cntk.random.gumbel(MANY, loc=1, scale=0.4)), {}


def bernoulli_numbers():
    return _moments(cntk.random.bernoulli(MANY, mean=0.3)), {}


def numbers_for_each_step():
    x = cntk.sequence.input_variable(MANY // 4, name="x")
    feeds = [np.zeros((n, MANY // 4), np.float32) for n in (1, 3)]
    return _moments(cntk.random.normal_like(x, 1, 0.5)), {"x": feeds}


def numbers_for_each_sample():
    x = cntk.input_variable((MANY // 4,), name="x")
    return _moments(cntk.random.bernoulli_like(x, 0.8)), {"x": np.zeros((4, MANY // 4), np.float32)}


def classes_drawn():
    return cntk.reduce_mean(_dense(cntk.random_sample(WEIGHTS, 20000, True)), 0), {}


def _dense(sample):
    return cntk.times(sample, np.eye(len(WEIGHTS), dtype=np.float32))


def all_classes_drawn_once():
    return cntk.reduce_sum(_dense(cntk.random_sample(WEIGHTS, 4, False)), 0), {}


def expected_in_samples():
    return cntk.random_sample_inclusion_frequency(WEIGHTS, 50, True), {}


def expected_in_samples_of_different_classes():
    weights = np.concatenate([np.full(200, 100.0), np.full(100, 0.001)]).astype(np.float32)
    return cntk.random_sample_inclusion_frequency(weights, 190, False), {}
