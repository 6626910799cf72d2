"""Procedural meshes of several classes and many sizes: something varied to learn.

Each class is a function of a numpy.random.Generator -> vertices float [V, 3], y up, and faces wound
outward.
"""
import os

import numpy as np

from polygen import data


def join(*parts):
  """One mesh of several."""
  vertices, faces = [], []
  for points, polygons in parts:
    offset = sum(map(len, vertices))
    vertices.append(np.asarray(points, np.float64))
    faces += [[offset + index for index in polygon] for polygon in polygons]
  return np.concatenate(vertices), faces


def box(low, high):
  """An axis-aligned box."""
  profile = [(low[0], low[1]), (high[0], low[1]), (high[0], high[1]), (low[0], high[1])]
  return extruded(profile, low[2], high[2])


def extruded(profile, back, front):
  """A counter-clockwise polygon of (x, y), drawn out from z = back to z = front."""
  count = len(profile)
  vertices = [(x, y, z) for z in (back, front) for x, y in profile]
  sides = [[here, (here + 1) % count, count + (here + 1) % count, count + here]
           for here in range(count)]
  return np.array(vertices), [list(range(count))[::-1], list(range(count, 2 * count))] + sides


def turned(profile, sides):
  """A line of (radius, height), from the bottom up, turned about the y axis."""
  angles = 2 * np.pi * np.arange(sides) / sides
  vertices = [(radius * np.sin(angle), height, radius * np.cos(angle))
              for radius, height in profile for angle in angles]
  faces = [list(range(sides))[::-1],
           list(range(sides * (len(profile) - 1), sides * len(profile)))]
  for start in range(0, sides * (len(profile) - 1), sides):
    faces += [[start + here, start + (here + 1) % sides, start + sides + (here + 1) % sides,
               start + sides + here] for here in range(sides)]
  return np.array(vertices), faces


def table(rng):
  """A top on four legs: 40 vertices."""
  width, depth, height = rng.uniform(0.6, 1.6), rng.uniform(0.5, 1.), rng.uniform(0.4, 1.)
  thickness, leg, inset = rng.uniform(0.04, 0.12), rng.uniform(0.05, 0.12), rng.uniform(0., 0.1)
  parts = [box((-width / 2, height, -depth / 2), (width / 2, height + thickness, depth / 2))]
  for x in (-width / 2 + inset, width / 2 - inset - leg):
    for z in (-depth / 2 + inset, depth / 2 - inset - leg):
      parts.append(box((x, 0, z), (x + leg, height, z + leg)))
  return join(*parts)


def stairs(rng):
  """One profile of 2 to 12 steps: 12 to 52 vertices, two large n-gons."""
  steps, width = rng.integers(2, 13), rng.uniform(0.3, 1.2)
  run, rise = rng.uniform(0.5, 1.2) / steps, rng.uniform(0.5, 1.2) / steps
  profile = [(0., 0.), (steps * run, 0.)]
  for step in range(steps, 0, -1):
    top = (steps - step + 1) * rise
    profile += [(step * run, top), ((step - 1) * run, top)]
  return extruded(profile, 0., width)


def bottle(rng):
  """A turned profile: up to 180 vertices."""
  sides, rings = rng.integers(6, 19), rng.integers(3, 11)
  heights = np.linspace(0., rng.uniform(1., 2.5), rings)
  waist = rng.uniform(0.25, 0.8)
  radii = waist + rng.uniform(0.05, 0.2) * np.cos(heights * rng.uniform(1., 5.))
  return turned(list(zip(radii, heights)), sides)


def gear(rng):
  """A toothed wheel: 20 to 80 vertices, two large n-gons."""
  teeth, depth = rng.integers(5, 21), rng.uniform(0.1, 0.4)
  angles = -2 * np.pi * np.arange(2 * teeth) / (2 * teeth)
  radii = np.where(np.arange(2 * teeth) % 2, 1., 1. - rng.uniform(0.15, 0.45))
  profile = [(radius * np.cos(angle), radius * np.sin(angle))
             for radius, angle in zip(radii, angles)]
  return extruded(profile[::-1], 0., depth)


def shelf(rng):
  """Two sides and 2 to 8 boards: 32 to 80 vertices."""
  width, height, depth = rng.uniform(0.5, 1.2), rng.uniform(0.8, 2.), rng.uniform(0.2, 0.5)
  thickness, boards = rng.uniform(0.03, 0.07), rng.integers(2, 9)
  parts = [box((-thickness, 0, 0), (0, height, depth)),
           box((width, 0, 0), (width + thickness, height, depth))]
  for bottom in np.linspace(0., height - thickness, boards):
    parts.append(box((0, bottom, 0), (width, bottom + thickness, depth)))
  return join(*parts)


def house(rng):
  """A wall with a gable: 10 vertices."""
  width, depth = rng.uniform(0.6, 1.4), rng.uniform(0.6, 2.)
  wall, roof = rng.uniform(0.4, 1.), rng.uniform(0.2, 0.8)
  return extruded([(0, 0), (width, 0), (width, wall), (width / 2, wall + roof), (0, wall)],
                  0., depth)


CLASSES = {function.__name__: function for function in (bottle, gear, house, shelf, stairs, table)}


def write_objects(folder, count, seed=0):
  """Writes CLASS/NUMBER.obj, the classes in turn."""
  names = sorted(CLASSES)
  for number in range(count):
    name = names[number % len(names)]
    os.makedirs(os.path.join(folder, name), exist_ok=True)
    vertices, faces = CLASSES[name](np.random.default_rng([seed, number]))
    data.write_obj(vertices, faces, os.path.join(folder, name, '{:05d}.obj'.format(number)),
                   transpose=False)
