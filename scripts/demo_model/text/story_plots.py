"""All plots."""

from demo_model.text.adventure_plots import (
    BRAVE_HEART,
    KIND_RACER,
    LOST_TREASURE,
    NIGHT_SOUND,
    STORM_REPAIR,
    WAY_HOME,
)
from demo_model.text.friendship_plots import (
    BIRTHDAY_GIFT,
    GARDEN_SEED,
    KEPT_PROMISE,
    NEW_FRIEND,
    NEW_SKILL,
    SHARED_FOOD,
)

PLOTS = (
    LOST_TREASURE,
    NEW_SKILL,
    BRAVE_HEART,
    SHARED_FOOD,
    BIRTHDAY_GIFT,
    GARDEN_SEED,
    KIND_RACER,
    NIGHT_SOUND,
    WAY_HOME,
    STORM_REPAIR,
    NEW_FRIEND,
    KEPT_PROMISE,
)
