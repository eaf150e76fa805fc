"""Recipes: reads what an app asks for and what its stack is made of, and renders its environment.

`read_recipe` reads `warminfra.toml`; `read_folder` the Co-op Cloud recipe beside it.
"""

from warminfra.recipes.model import RecipeFolder, RecipeVersion
from warminfra.recipes.presets import PRESETS
from warminfra.recipes.reader import RecipeSettings, read_recipe, recipe_name
from warminfra.recipes.render import render_env
from warminfra.recipes.versions import read_folder

__all__ = [
    "PRESETS",
    "RecipeFolder",
    "RecipeSettings",
    "RecipeVersion",
    "read_folder",
    "read_recipe",
    "recipe_name",
    "render_env",
]
