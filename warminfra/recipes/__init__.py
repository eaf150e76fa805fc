"""Recipes: reads what an app asks for, and turns a lease into the app's environment."""

from warminfra.recipes.presets import PRESETS
from warminfra.recipes.reader import RecipeSettings, read_recipe, recipe_name
from warminfra.recipes.render import render_env

__all__ = ["PRESETS", "RecipeSettings", "read_recipe", "recipe_name", "render_env"]
