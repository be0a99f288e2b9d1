"""The pages under `/imagesmith`, as people see them: one thin file for what a navigation entry leads to.

They show and do what REST does, by the same functions.
"""
