"""Plots in which something is lost, broken, heard or dared; each step in several wordings."""

from demo_model.text import story_words as words
from demo_model.text.plot import Plot

LOST_TREASURE = Plot(
    "lost treasure",
    {"item": words.TREASURES, "first": words.SEARCH_PLACES[:10], "second": words.SEARCH_PLACES[10:]},
    (
        (
            "{hero.They} had a {item} and loved it more than anything.",
            "{hero.Their} favourite thing in the world was a {item}.",
            "Every day {hero.they} played with {hero.their} {item}.",
        ),
        (
            "One morning the {item} was gone.",
            "One day {hero.name} could not find the {item}.",
            "But one evening {hero.they} lost the {item}.",
        ),
        (
            "{hero.name} was very sad and began to cry.",
            "{hero.name} felt sad and did not know what to do.",
            '"Oh no!" said {hero.name}. "Where is my {item}?"',
        ),
        (
            "{hero.They} looked {first}, but it was not there.",
            "{hero.They} searched {first} and found nothing.",
        ),
        (
            "Then {hero.name} met {friend.a_kind} named {friend.name}.",
            "Soon {friend.a_kind} named {friend.name} came along.",
            "{friend.name}, {friend.a_trait_kind}, saw {hero.their} tears.",
        ),
        (
            '"Do not cry," said {friend.name}. "I will help you."',
            '"Let us look together," said {friend.name}.',
            '"Two can search better than one," said {friend.name} with a smile.',
        ),
        (
            "Together they looked {second}, and there was the {item}!",
            "They walked a long way, and at last they found the {item} {second}.",
            "{friend.name} looked {second} and found the {item}.",
        ),
        (
            "{hero.name} jumped for joy and thanked {friend.name}.",
            '"Thank you!" said {hero.name} and gave {friend.name} a big hug.',
        ),
    ),
)

BRAVE_HEART = Plot(
    "brave heart",
    {"fear": words.FEARS},
    (
        (
            "{hero.name} was afraid of {fear}.",
            "There was one thing that {hero.name} did not like: {hero.they} was afraid of {fear}.",
        ),
        (
            "{hero.Their} best friend was {friend.a_kind} named {friend.name}.",
            "{hero.They} had a good friend, {friend.a_trait_kind} named {friend.name}.",
        ),
        (
            "One evening {friend.name} did not come home.",
            "One day {friend.name} got lost and called for help.",
            "One night {hero.name} heard {friend.name} call for help.",
        ),
        (
            "{hero.name} was still afraid of {fear}, but {hero.they} thought of {hero.their} friend.",
            "{hero.Their} heart beat fast, for {hero.they} was afraid of {fear}.",
        ),
        (
            '"I must be brave," said {hero.name}, and {hero.they} went to look for {friend.name}.',
            "{hero.They} took a deep breath, lit a lantern and went out.",
            '"My friend needs me," said {hero.name} and started to walk.',
        ),
        (
            "After a while {hero.they} found {friend.name} behind a big rock.",
            "At last {hero.they} saw {friend.name} sitting alone under a tree.",
            "{hero.They} found {friend.name} near the river with a hurt foot.",
        ),
        (
            '"You came!" cried {friend.name}. "You are so brave."',
            '"I knew that you would come," said {friend.name}.',
        ),
        (
            "Together they walked home, and {hero.name} was not afraid of {fear} any more.",
            "They held on to each other all the way home, and {fear} did not seem so bad any more.",
        ),
    ),
)

KIND_RACER = Plot(
    "kind racer",
    {"race": words.RACES},
    (
        (
            "One day there was {race}, and {hero.name} wanted to win.",
            "Every year there was {race}, and this time {hero.name} took part.",
        ),
        (
            "{hero.They} was fast, and soon {hero.they} was ahead of everyone.",
            "Everything went well, and {hero.they} was almost first.",
        ),
        (
            "Then {hero.they} saw {friend.name}, {friend.a_kind}, who had fallen.",
            "But beside the path sat {friend.a_kind} named {friend.name} with a hurt leg.",
        ),
        (
            '"Go on," said {friend.name}. "You can still win."',
            '"Do not wait for me," said {friend.name}.',
        ),
        (
            '"You are more important than a prize," said {hero.name}.',
            "But {hero.name} stopped and helped {friend.them} up.",
        ),
        (
            "Slowly they went on together, and they came last.",
            "{hero.They} carried {friend.name} all the way, and they were the last to arrive.",
        ),
        (
            "Yet everybody cheered for them.",
            "But all the people clapped when they saw the two.",
        ),
        (
            "{hero.name} was given a special prize for a kind heart.",
            'The judge said: "The first prize is for the fastest, but the best prize is for the kindest." '
            "And {hero.name} got it.",
        ),
    ),
)

NIGHT_SOUND = Plot(
    "night sound",
    {"sound": words.SOUNDS},
    (
        (
            "One night {hero.name} heard {sound[0]} outside.",
            "Late in the evening {hero.they} heard {sound[0]} near the house.",
        ),
        (
            '"What is that?" {hero.they} whispered.',
            "{hero.They} could not sleep and sat up in bed.",
        ),
        (
            "{hero.They} woke {hero.their} friend {friend.name}, {friend.a_kind}.",
            "{hero.They} ran to {friend.name}, {friend.a_trait_kind} who lived next door.",
        ),
        (
            '"Maybe it is a ghost," said {friend.name}.',
            '"Let us go and see," said {friend.name}.',
        ),
        (
            "They took a lantern and walked into the dark.",
            "Hand in hand they went out and followed the sound.",
        ),
        (
            "It was only {sound[1]}.",
            "What they found was no ghost. It was {sound[1]}.",
        ),
        (
            "{hero.name} and {friend.name} {sound[2]}.",
            "They {sound[2]}, and then it was quiet.",
        ),
        (
            "Then they drank warm milk and laughed about their fear.",
            '"It was good that we looked," said {hero.name}.',
        ),
    ),
)

WAY_HOME = Plot(
    "way home",
    {"guide": words.GUIDES},
    (
        (
            "{hero.name} loved to explore.",
            "Every day {hero.they} walked a little farther from home.",
        ),
        (
            "One day {hero.they} went too far and could not find the way back.",
            "One afternoon {hero.they} followed a butterfly and lost the way.",
        ),
        (
            "The sun went down, and it grew cold.",
            "Soon it was dark, and {hero.name} was alone.",
        ),
        (
            '"I want to go home," {hero.they} cried.',
            "{hero.They} sat down on a stone and thought of {hero.their} mother.",
        ),
        (
            "Then {hero.they} heard a voice. It was {friend.a_kind} named {friend.name}.",
            'A voice asked: "Are you lost?" It was {friend.name}, {friend.a_trait_kind}.',
        ),
        (
            '"Follow {guide}," said {friend.name}. "It will lead you home."',
            '"I know the way," said {friend.name}. "We only have to follow {guide}."',
        ),
        (
            "They followed {guide} through the night.",
            "Step by step they followed {guide}, and they sang to keep warm.",
        ),
        (
            "At last {hero.name} saw the lights of home, and {hero.their} mother ran to meet them.",
            "When morning came, they stood in front of {hero.their} house, and {hero.their} mother "
            "hugged them both.",
        ),
    ),
)

STORM_REPAIR = Plot(
    "storm repair",
    {"broken": words.BROKEN},
    (
        (
            "One autumn night there was a great storm.",
            "One day a terrible storm came over the land.",
        ),
        (
            "In the morning {broken[0]} was broken.",
            "The wind was so strong that it broke {broken[0]}.",
        ),
        (
            "Everybody was sad, and nobody knew what to do.",
            '"What shall we do now?" the people asked.',
        ),
        (
            '"We can mend it," said {hero.name}.',
            'But {hero.name} said: "We can build it again."',
        ),
        (
            '{friend.name}, {friend.a_kind}, only laughed. "You are much too small," {friend.they} said.',
            '{friend.name}, {friend.a_trait_kind}, shook {friend.their} head. "That is too much work," '
            "{friend.they} said.",
        ),
        (
            "But {hero.name} began all alone with {broken[1]}.",
            "{hero.name} did not listen. {hero.They} fetched {broken[1]} and began.",
        ),
        (
            "When {friend.name} saw this, {friend.they} was ashamed and came to help.",
            "After an hour {friend.name} came to help, and then all the others came too.",
        ),
        (
            "In three days {broken[0]} was as good as new.",
            "Together they worked until {broken[0]} was stronger than before.",
        ),
    ),
)
