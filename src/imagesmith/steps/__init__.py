"""The way of a build, one file per step.

A step is a coroutine over a `TargetContext`. It can be entered again at any point of its life, by any process: it looks
for what it would make, adopts it, and goes on: retries, moves to the triggerer and kills are all the same case.
"""
