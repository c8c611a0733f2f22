"""Plots about learning, sharing, giving and being friends; each step in several wordings."""

from demo_model.text import story_words as words
from demo_model.text.plot import Plot

NEW_SKILL = Plot(
    "new skill",
    {"skill": words.SKILLS},
    (
        (
            "{hero.name} wanted to learn to {skill}.",
            "More than anything, {hero.they} wished to {skill}.",
            "{hero.Their} dream was to {skill}.",
        ),
        (
            "{hero.They} tried and tried, but it did not work.",
            "The first time {hero.they} tried, everything went wrong.",
            "But it was hard, and some of the others laughed at {hero.them}.",
        ),
        (
            '"I will never learn it," said {hero.name} sadly.',
            "{hero.name} sat down under a tree and sighed.",
            '"It is too hard for me," thought {hero.name}.',
        ),
        (
            "Then {friend.a_trait_kind} named {friend.name} came by.",
            "{friend.name}, {friend.a_kind} who lived nearby, heard {hero.them}.",
            "There {hero.they} met {friend.a_kind} named {friend.name}.",
        ),
        (
            '"I can teach you," said {friend.name}. "You only have to practise every day."',
            '"Nobody can do it on the first day," said {friend.name}. "Let us practise together."',
            '"Try again, slowly," said {friend.name}. "I will stay with you."',
        ),
        (
            "So they practised every morning and every evening.",
            "Day after day they practised, in sun and in rain.",
            "They practised for a whole week, and it became easier each day.",
        ),
        (
            "At last {hero.name} could {skill}.",
            "Then one day {hero.name} could {skill} all alone.",
            "In the end {hero.they} could {skill} better than anyone else.",
        ),
        (
            "Everybody clapped, and {hero.name} was proud.",
            '"You did it!" cried {friend.name}, and {hero.name} laughed with joy.',
        ),
    ),
)

SHARED_FOOD = Plot(
    "shared food",
    {"food": words.FOODS, "place": words.SEARCH_PLACES},
    (
        (
            "One day {hero.name} found a basket full of {food} {place}.",
            "One morning {hero.they} discovered a basket of {food} {place}.",
        ),
        (
            '"All these {food} are mine!" said {hero.name}.',
            "{hero.name} wanted to keep all the {food} for {hero.them}self.",
            '"I will eat them all alone," thought {hero.name}.',
        ),
        (
            "Then {friend.a_kind} named {friend.name} came down the road.",
            "Just then {friend.a_trait_kind} named {friend.name} passed by.",
        ),
        (
            '"I am so hungry," said {friend.name}. "I have not eaten all day."',
            "{friend.name} was thin and tired and very hungry.",
        ),
        (
            "{hero.name} looked at the {food} and then at {friend.name}.",
            "{hero.name} thought for a long time.",
        ),
        (
            '"Sit down," {hero.they} said. "There is enough for two."',
            '"Come and eat with me," said {hero.name}. "We can share."',
        ),
        (
            "They ate the {food} together and told each other stories.",
            "So they shared the {food} and talked until evening.",
        ),
        (
            "The {food} tasted much better in good company.",
            "{hero.name} found that shared {food} taste best.",
            '"Sharing is more fun than eating alone," said {hero.name}.',
        ),
    ),
)

BIRTHDAY_GIFT = Plot(
    "birthday gift",
    {"gift": words.GIFTS},
    (
        (
            "{hero.Their} best friend was {friend.a_kind} named {friend.name}.",
            "{hero.They} had a dear friend named {friend.name}, {friend.a_trait_kind}.",
        ),
        (
            "Soon it would be {friend.name}'s birthday.",
            "The next day was {friend.name}'s birthday.",
        ),
        (
            "{hero.name} wanted to buy a present, but {hero.they} had no money.",
            "{hero.name} looked into {hero.their} purse, but it was empty.",
        ),
        (
            "{hero.They} was sad and walked around the house.",
            '"What can I give?" {hero.they} wondered.',
        ),
        (
            "Then {hero.they} had an idea.",
            "Suddenly {hero.they} knew what to do.",
        ),
        (
            "{hero.They} made {gift[0]} of {gift[1]}.",
            "All night long {hero.they} worked and made {gift[0]} of {gift[1]}.",
        ),
        (
            "When {friend.name} saw {gift[0]}, {friend.their} eyes began to shine.",
            "On the birthday {hero.name} gave {gift[0]} to {friend.name}.",
        ),
        (
            '"This is the best present of all," said {friend.name}, "because you made it for me."',
            '"You made it with your own hands!" said {friend.name}. "I love it."',
        ),
    ),
)

GARDEN_SEED = Plot(
    "garden seed",
    {"seed": words.SEEDS},
    (
        (
            "One spring day {hero.name} planted a {seed} in the garden.",
            "{hero.name} had a garden, and in spring {hero.they} planted a {seed}.",
        ),
        (
            "Every day {hero.they} looked at the ground, but nothing grew.",
            "{hero.They} waited and waited, but the ground stayed bare.",
        ),
        (
            "The summer was hot, and there was no rain.",
            "Then the well ran dry, and the earth was like stone.",
        ),
        (
            "{friend.name}, {friend.a_kind} from next door, came to look.",
            "A neighbour, {friend.a_trait_kind} named {friend.name}, saw {hero.their} sad face.",
        ),
        (
            '"It needs water," said {friend.name}. "I know a spring behind the hill."',
            '"Do not give up," said {friend.name}. "We can carry water from the river."',
        ),
        (
            "Every morning they carried water to the garden.",
            "So they filled two buckets and carried them to the garden, day after day.",
        ),
        (
            "One day a small green leaf came out of the ground.",
            "At last something green came up, and it grew and grew.",
        ),
        (
            "In autumn the {seed} was the most beautiful one in the land.",
            "By the end of summer the {seed} was taller than {hero.name}.",
        ),
    ),
)

NEW_FRIEND = Plot(
    "new friend",
    {"game": words.GAMES},
    (
        (
            "{hero.name} was often lonely, for there was nobody to play with.",
            "{hero.They} had everything except a friend.",
        ),
        (
            "{hero.They} wished for a friend with all {hero.their} heart.",
            "Every evening {hero.they} looked at the stars and wished for a friend.",
        ),
        (
            "One day somebody new moved in next door. It was {friend.a_kind} named {friend.name}.",
            "Then {friend.a_trait_kind} named {friend.name} came to live nearby.",
        ),
        (
            "At first {hero.name} was too shy to speak.",
            "{hero.name} hid behind a tree and watched.",
        ),
        (
            "But {friend.name} smiled at {hero.them}.",
            "{friend.name} saw {hero.them} and waved.",
        ),
        (
            '"Do you want to play {game} with me?" asked {friend.name}.',
            '"I do not know anybody here," said {friend.name}. "Shall we play {game}?"',
        ),
        (
            "They played {game} the whole afternoon.",
            "So they played {game} until it was dark.",
        ),
        (
            '"Will you come again tomorrow?" asked {hero.name}. "Yes," said {friend.name}, "every day."',
            "{hero.name} was never lonely again.",
        ),
    ),
)

KEPT_PROMISE = Plot(
    "kept promise",
    {"promise": words.PROMISES},
    (
        (
            "One day {hero.name} promised {hero.their} friend {friend.name}, {friend.a_kind}, to {promise}.",
            '"Tomorrow I will {promise}," {hero.they} promised {friend.name}, {friend.a_trait_kind}.',
        ),
        (
            "But the next day the sun was shining, and {hero.name} went to play.",
            "But in the morning {hero.name} forgot all about it.",
        ),
        (
            "{friend.name} waited and waited, but nobody came.",
            "All day long {friend.name} stood at the door and waited.",
        ),
        (
            "In the evening {hero.name} remembered the promise.",
            '"Oh no," said {hero.name} at night, "I forgot to {promise}!"',
        ),
        (
            "{hero.They} felt sorry and ran to {friend.name} as fast as {hero.they} could.",
            "With a heavy heart {hero.they} went to {friend.name}.",
        ),
        (
            '"I am sorry," said {hero.name}. "I broke my promise."',
            '"Please forgive me," said {hero.name}.',
        ),
        (
            "{friend.name} was quiet for a moment, and then {friend.they} smiled.",
            '"I was sad," said {friend.name}, "but I am glad that you came."',
        ),
        (
            "The next morning {hero.name} got up early to {promise}, and {hero.they} never forgot a "
            "promise again.",
            "At once {hero.name} went to {promise}, and soon everything was well again.",
        ),
    ),
)
