"""Places and things that the stories draw from."""

HOMES = (
    "in a quiet forest", "at the edge of a forest", "on a high plain", "on a green hill", "by a blue lake",
    "near a small river", "in a warm valley", "on a little farm", "in a village by the sea",
    "in a tiny house",
    "under an old oak tree", "in a sunny meadow", "at the foot of a mountain", "on a small island",
    "behind a stone wall", "in a wooden hut", "next to a mill", "in a town with red roofs",
    "beside a waterfall",
    "in a garden full of roses", "in the high mountains of the Andes", "near an old bridge", "in a cosy cave",
    "at the end of a long road", "in a white house on a cliff", "between two tall hills",
    "in a field of wheat",
    "not far from the market", "in a snowy land", "at the top of a tall tower",
)  # fmt: skip

SEARCH_PLACES = (
    "under the bed", "behind the door", "in the garden", "by the river", "under the big tree",
    "in the tall grass",
    "behind the barn", "near the well", "in the old shed", "on the bridge", "at the market", "in the hay",
    "beside the road", "under a stone", "in the kitchen", "behind the mill", "in the boat",
    "among the flowers",
    "on the hill", "by the gate",
)  # fmt: skip

TREASURES = (
    "red scarf", "blue hat", "wooden flute", "little drum", "silver bell", "yellow kite",
    "green button", "golden key", "soft blanket", "woollen cap", "tin whistle", "glass marble",
    "picture book", "paper boat", "red ball", "small lantern",
)  # fmt: skip

SKILLS = (
    "swim", "sing", "dance", "read", "paint", "climb", "whistle", "skate", "cook", "bake bread",
    "ride a bicycle",
    "play the flute", "play the drum", "tell jokes", "fly a kite", "row a boat", "juggle", "write letters",
    "jump over the stream", "count to one hundred", "catch a ball", "build a house", "knit a scarf",
    "weave a basket",
    "spin wool", "draw a map",
)  # fmt: skip

FOODS = (
    "apples", "pears", "cherries", "berries", "nuts", "carrots", "honey cakes", "warm bread", "plums",
    "strawberries", "potatoes", "corn", "cheese", "sweet grapes",
)  # fmt: skip

FEARS = (
    "the dark", "thunder", "deep water", "high places", "loud noises", "the wind", "the cold night",
    "big shadows", "the old cave", "strangers",
)  # fmt: skip

GIFTS = (
    ("a crown", "leaves"), ("a necklace", "shells"), ("a picture", "petals"), ("a boat", "bark"),
    ("a basket", "grass"), ("a little chair", "wood"), ("a cake", "berries"), ("a song", "simple words"),
    ("a kite", "paper"), ("a doll", "straw"), ("a bracelet", "seeds"), ("a lamp", "wax"),
    ("a pillow", "feathers"),
    ("a cap", "wool"), ("a star", "silver paper"), ("a whistle", "reed"),
)  # fmt: skip

SEEDS = (
    "sunflower", "pumpkin", "plum tree", "rose", "bean", "cherry tree", "tulip", "melon",
)  # fmt: skip

RACES = (
    "a race around the lake", "a race up the hill", "a race to the old mill", "a boat race", "a kite contest",
    "a singing contest", "a cooking contest", "a race across the meadow", "a snow race",
    "a race through the forest",
)  # fmt: skip

SOUNDS = (
    ("a soft cry", "a baby bird that had fallen from its nest", "put it back into the nest"),
    ("a knocking sound", "a branch that beat against the window", "tied the branch to the wall"),
    ("a strange song", "the wind in an empty bottle", "took the bottle home"),
    ("a loud splash", "a little fish that was caught in a net", "set the fish free"),
    ("a small voice", "a lamb that had lost its mother", "led the lamb back to its mother"),
    ("a scratching noise", "a kitten that was locked in the shed", "opened the door of the shed"),
    ("a deep hum", "a swarm of bees that looked for a new home", "gave the bees an empty box"),
    ("a sad whistle", "a train that could not climb the hill", "pushed the train with all their friends"),
    ("a bell", "a goat that was stuck behind a fence", "opened the gate for the goat"),
    ("a tapping noise", "a woodpecker that was building a house", "brought the woodpecker some soft moss"),
)

GUIDES = (
    "a bright star", "the light of a lantern", "the smell of warm bread", "the sound of a bell", "the moon",
    "a line of white stones", "the song of a bird", "the smoke of a chimney", "the little river",
    "an old path",
)  # fmt: skip

BROKEN = (
    ("the bridge", "ropes and wood"), ("the roof of the school", "straw"),
    ("the old mill", "stones and boards"),
    ("the fence", "new posts"), ("the little boat", "planks and tar"), ("the well", "bricks"),
    ("the barn", "strong beams"), ("the door of the house", "a new lock"),
    ("the clock tower", "iron and glass"),
)  # fmt: skip

GAMES = (
    "hide and seek", "catch", "chess", "a game with a ball", "marbles", "pirates", "a guessing game", "cards",
    "a jumping game", "football",
)  # fmt: skip

PROMISES = (
    "help with the harvest", "bring some water", "make some tea", "feed the hens", "mend the net",
    "look after the sheep",
    "carry the wood", "pick the apples", "clean the house",
)  # fmt: skip

MORALS = (
    "From that day on, {hero.name} and {friend.name} were the best of friends.",
    "And they all lived happily ever after.",
    "{hero.name} learned that a good friend is the best treasure of all.",
    "That night {hero.name} fell asleep with a smile.",
    "And {hero.name} never forgot that day.",
    "{hero.name} was very happy, and so was {friend.name}.",
    "They laughed together until the sun went down.",
    "The end.",
    "It was the best day of the whole year.",
    "And every year they remembered that day with a party.",
    "{hero.name} knew that kindness makes every day brighter.",
)
