"""An answer to every prompt of the code-helper pack that carries asserts, under the name that the prompt gives it."""

import math
import random
import re
from collections import Counter
from datetime import date, timedelta

# text


def count_vowels(text):
    return sum(char in "aeiou" for char in text.lower())


def first_word(text):
    return (text.split() or [""])[0]


def remove_vowels(text):
    return "".join(char for char in text if char.lower() not in "aeiou")


def last_word_length(text):
    return len((text.split() or [""])[-1])


def shout(text):
    return text.upper() + "!"


def count_char(text, char):
    return text.lower().count(char.lower())


def capitalise_first(text):
    return text[:1].upper() + text[1:]


def reverse_text(text):
    return text[::-1]


def is_palindrome(text):
    letters = text.lower().replace(" ", "")
    return letters == letters[::-1]


def replace_spaces(text):
    return text.replace(" ", "-")


def acronym(phrase):
    return "".join(word[0].upper() for word in phrase.split())


def unique_letters(text):
    return sorted({char for char in text.lower() if char.isalpha()})


def surround(text, mark):
    return mark + text + mark


def word_lengths(text):
    return [len(word) for word in text.split()]


def truncate(text, limit):
    return text[:limit]


def count_sentences(text):
    return sum(text.count(mark) for mark in ".?!")


def remove_digits(text):
    return "".join(char for char in text if not char.isdigit())


def every_other_char(text):
    return text[::2]


def count_consonants(text):
    return sum(char.isalpha() and char not in "aeiou" for char in text.lower())


def swap_first_last(text):
    return text if len(text) < 2 else text[-1] + text[1:-1] + text[0]


def words_starting_with(text, letter):
    return [word for word in text.split() if word.lower().startswith(letter.lower())]


def is_pangram(text):
    return set("abcdefghijklmnopqrstuvwxyz") <= set(text.lower())


def duplicate_chars(text):
    return "".join(char * 2 for char in text)


def longest_line(text):
    return max(text.splitlines(), key=len, default="")


def camel_to_snake(name):
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in name)


def center_stars(word, width):
    return word.center(width, "*")


def count_words_of_length(text, n):
    return sum(len(word) == n for word in text.split())


def count_lowercase(text):
    return sum(char.islower() for char in text)


def trim_to_word(text, limit):
    kept = ""
    for word in text.split():
        longer = f"{kept} {word}".strip()
        if len(longer) > limit:
            break
        kept = longer
    return kept


def repeat_word(word, times):
    return " ".join([word] * times)


def common_prefix(first, second):
    length = 0
    while length < min(len(first), len(second)) and first[length] == second[length]:
        length += 1
    return first[:length]


# lists


def sum_list(numbers):
    return sum(numbers)


def largest(numbers):
    return max(numbers, default=None)


def remove_duplicates(items):
    return list(dict.fromkeys(items))


def reverse_list(items):
    return items[::-1]


def only_positive(numbers):
    return [number for number in numbers if number > 0]


def count_items(items, wanted):
    return items.count(wanted)


def first_n(items, n):
    return items[:n]


def average(numbers):
    return sum(numbers) / len(numbers) if numbers else 0


def concat_lists(lists):
    return [item for inner in lists for item in inner]


def odd_numbers(numbers):
    return [number for number in numbers if number % 2]


def range_of(numbers):
    return max(numbers) - min(numbers) if numbers else 0


def contains_all(items, wanted):
    return all(item in items for item in wanted)


def square_all(numbers):
    return [number**2 for number in numbers]


def without_first(items):
    return items[1:]


def index_of_max(numbers):
    return numbers.index(max(numbers)) if numbers else -1


def pair_up(first, second):
    return list(zip(first, second))


def rotate_right(items, steps):
    if not items:
        return []
    cut = len(items) - steps % len(items)
    return items[cut:] + items[:cut]


def compact(items):
    return [item for item in items if item]


def smallest(numbers):
    return min(numbers, default=None)


def alternate_sum(numbers):
    return sum(numbers[::2]) - sum(numbers[1::2])


def last_n(items, n):
    return items[-n:] if n else []


def insert_between(items, separator):
    return [each for item in items for each in (separator, item)][1:]


def count_greater(numbers, limit):
    return sum(number > limit for number in numbers)


def is_increasing(numbers):
    return list(numbers) == sorted(set(numbers))


def flatten_pairs(pairs):
    return [item for pair in pairs for item in pair]


def difference(first, second):
    return [item for item in first if item not in second]


def nth_largest(numbers, n):
    ordered = sorted(set(numbers), reverse=True)
    return ordered[n - 1] if n <= len(ordered) else None


# dictionaries


def invert_dict(mapping):
    return {value: key for key, value in mapping.items()}


def count_words(text):
    return dict(Counter(text.lower().split()))


def merge_dicts(first, second):
    return {**first, **second}


def key_of_max(scores):
    return max(scores, key=scores.get, default=None)


def filter_by_value(mapping, low):
    return {key: value for key, value in mapping.items() if value >= low}


def get_or_zero(mapping, key):
    return mapping.get(key, 0)


def sorted_keys(mapping):
    return sorted(mapping, key=mapping.get)


def total_values(mapping):
    return sum(mapping.values())


def pairs_to_dict(pairs):
    return dict(pairs)


def upper_keys(mapping):
    return {key.upper(): value for key, value in mapping.items()}


def has_keys(mapping, keys):
    return all(key in mapping for key in keys)


def group_by_length(words):
    groups = {}
    for word in words:
        groups.setdefault(len(word), []).append(word)
    return groups


def add_to_all(mapping, amount):
    return {key: value + amount for key, value in mapping.items()}


def key_of_min(prices):
    return min(prices, key=prices.get, default=None)


def remove_none_values(mapping):
    return {key: value for key, value in mapping.items() if value is not None}


def rename_key(mapping, old, new):
    return {new if key == old else key: value for key, value in mapping.items()}


def common_keys(first, second):
    return sorted(first.keys() & second.keys())


def letter_positions(word):
    places = {}
    for index, letter in enumerate(word):
        places.setdefault(letter, []).append(index)
    return places


def average_by_key(rows, key):
    values = [row[key] for row in rows if key in row]
    return sum(values) / len(values) if values else 0


# numbers


def is_odd(number):
    return number % 2 == 1


def fahrenheit_to_celsius(degrees):
    return round((degrees - 32) * 5 / 9, 1)


def factorial(n):
    if n < 0:
        raise ValueError("n is negative")
    return math.prod(range(1, n + 1))


def sum_digits(number):
    return sum(int(digit) for digit in str(abs(number)))


def divisors(n):
    return [number for number in range(1, n + 1) if n % number == 0]


def fibonacci(n):
    a, b = 0, 1
    for _ in range(n):
        a, b = b, a + b
    return a


def fizzbuzz(n):
    return ("Fizz" * (n % 3 == 0) + "Buzz" * (n % 5 == 0)) or str(n)


def sign(number):
    return (number > 0) - (number < 0)


def multiply_up_to(n):
    return math.prod(range(1, n + 1, 2))


def hypotenuse(a, b):
    return round(math.hypot(a, b), 2)


def count_digits(number):
    return len(str(abs(number)))


def lcm(a, b):
    return math.lcm(a, b)


def compound(amount, rate, years):
    return round(amount * (1 + rate / 100) ** years, 2)


def from_binary(text):
    return int(text, 2)


def round_up_to_ten(n):
    return math.ceil(n / 10) * 10


def average_of_three(a, b, c):
    return (a + b + c) / 3


def discount_price(price, percent):
    return max(0, round(price * (1 - percent / 100), 2))


def kelvin_to_celsius(kelvin):
    return round(kelvin - 273.15, 2)


def is_perfect(n):
    return n > 1 and sum(d for d in range(1, n) if n % d == 0) == n


def reverse_number(n):
    turned = int(str(abs(n))[::-1])
    return -turned if n < 0 else turned


def primes_below(n):
    return [p for p in range(2, n) if all(p % d for d in range(2, math.isqrt(p) + 1))]


def cube_sum(n):
    return sum(number**3 for number in range(1, n + 1))


def to_roman(n):
    return ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X"][n - 1]


def celsius_range(low, high):
    return list(range(low, high + 1))


def percent_change(old, new):
    return round(100 * (new - old) / old, 1) if old else None


# checks


def is_valid_pin(pin):
    return re.fullmatch(r"[0-9]{4}", pin) is not None


def has_digit(text):
    return any(char.isdigit() for char in text)


def is_leap_year(year):
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def all_positive(numbers):
    return all(number > 0 for number in numbers)


def is_triangle(a, b, c):
    short, middle, long = sorted([a, b, c])
    return short + middle > long


def is_upper_word(word):
    return word.isalpha() and word.isupper()


def is_divisible(a, b):
    return b != 0 and a % b == 0


def same_letters(first, second):
    return set(first) == set(second)


def has_duplicates(items):
    return len(set(items)) < len(items)


def is_hour(text):
    return re.fullmatch(r"[01][0-9]|2[0-3]", text) is not None


def brackets_match(text):
    opened = []
    for char in text:
        if char in "([":
            opened.append(char)
        elif char in ")]" and (not opened or opened.pop() + char not in ("()", "[]")):
            return False
    return not opened


def is_valid_username(name):
    return re.fullmatch(r"[A-Za-z0-9_]{3,12}", name) is not None


def all_same(items):
    return all(item == items[0] for item in items)


def is_square_matrix(rows):
    return all(len(row) == len(rows) for row in rows)


def contains_word(text, word):
    return word.lower() in text.lower().split()


def is_armstrong(n):
    return sum(int(digit) ** 3 for digit in str(n)) == n


# parsing


def parse_numbers(text):
    return [int(part) for part in text.split(",") if part.strip()]


def domain_of(email):
    return email.partition("@")[2]


def to_float(text, default):
    try:
        return float(text)
    except ValueError:
        return default


def extract_numbers(text):
    return [int(found) for found in re.findall(r"\d+", text)]


def split_name(full_name):
    first, _, rest = full_name.partition(" ")
    return first, rest


def read_csv_line(line):
    return [field.strip() for field in line.split(",")]


def query_to_dict(query):
    return dict(part.split("=", 1) for part in query.split("&") if part)


def minutes_of(clock):
    hours, minutes = clock.split(":")
    return 60 * int(hours) + int(minutes)


def hashtags(text):
    return [word[1:] for word in text.split() if word.startswith("#")]


def file_stem(name):
    return name.rpartition(".")[0] or name


def mentions(text):
    return list(dict.fromkeys(re.findall(r"@(\w+)", text)))


def parse_point(text):
    return tuple(int(part) for part in text.strip("()").split(","))


def bool_from_text(text):
    return text.lower() in ("yes", "true", "1")


def second_field(line):
    fields = line.split("\t")
    return fields[1] if len(fields) > 1 else None


# sorting


def sort_by_length(words):
    return sorted(words, key=len)


def sort_descending(numbers):
    return sorted(numbers, reverse=True)


def sort_ignore_case(words):
    return sorted(words, key=str.lower)


def top_two(numbers):
    return sorted(numbers, reverse=True)[:2]


def sort_by_last_letter(words):
    return sorted(words, key=lambda word: word[-1])


def merge_sorted(first, second):
    return sorted(first + second)


def rank_names(scores):
    return sorted(scores, key=lambda name: (-scores[name], name))


def evens_first(numbers):
    return sorted(numbers, key=lambda number: number % 2)


def sort_pairs(pairs):
    return sorted(pairs, key=lambda pair: pair[1])


def sort_by_abs(numbers):
    return sorted(numbers, key=abs)


def sort_words_in(text):
    return " ".join(sorted(text.split()))


def k_smallest(numbers, k):
    return sorted(numbers)[:k]


def insert_sorted(numbers, value):
    return sorted([*numbers, value])


# dates


def days_between(first, second):
    return abs((date.fromisoformat(first) - date.fromisoformat(second)).days)


def add_days(day, count):
    return (date.fromisoformat(day) + timedelta(days=count)).isoformat()


def format_minutes(minutes):
    return f"{minutes // 60}h {minutes % 60}m"


def is_same_month(first, second):
    return first[:7] == second[:7]


def century_of(year):
    return (year + 99) // 100


def quarter_of(month):
    return (month + 2) // 3


def year_of(day):
    return date.fromisoformat(day).year


def to_clock(minutes):
    return f"{minutes // 60 % 24:02}:{minutes % 60:02}"


def age_on(birthday, day):
    return int(day[:4]) - int(birthday[:4]) - (day[5:] < birthday[5:])


def next_year_same_day(day):
    found = date.fromisoformat(day)
    if (found.month, found.day) == (2, 29):
        found = found.replace(day=28)
    return found.replace(year=found.year + 1).isoformat()


def is_weekday_name(name):
    return name.lower() in ("monday", "tuesday", "wednesday", "thursday", "friday")


def european_date(day):
    return ".".join(reversed(day.split("-")))


# everyday


def winners(scores):
    return sorted(name for name, score in scores.items() if score == max(scores.values()))


def pick_winner(names):
    return random.choice(names)


def scale(amount, people):
    return amount * people / 4


def best_streak(steps):
    best = now = 0
    for count in steps:
        now = now + 1 if count > 10000 else 0
        best = max(best, now)
    return best


def can_form(word, letters):
    return not Counter(word) - Counter(letters)


def pages_per_day(pages, days):
    return math.ceil(pages / days)


def change(cents):
    coins = []
    for coin in (50, 20, 10, 5, 2, 1):
        coins += [coin] * (cents // coin)
        cents %= coin
    return coins


def count_down(n):
    return list(range(n, -1, -1))


def is_right(a, b, answer):
    return a * b == answer


def to_grams(pounds, ounces):
    return round((16 * pounds + ounces) * 28.35)


def driest_week(rain):
    return min(range(len(rain) - 6), key=lambda day: sum(rain[day:day + 7]))


def teams(pupils):
    return [pupils[start:start + 3] for start in range(0, len(pupils), 3)]


def with_tax(prices, percent):
    return [round(price * (1 + percent / 100), 2) for price in prices]


def end_time(start, minutes):
    hours, rest = start.split(":")
    total = 60 * int(hours) + int(rest) + minutes
    return f"{total // 60 % 24:02}:{total % 60:02}"


def triangle(n):
    return "\n".join("*" * line for line in range(1, n + 1))


def user_name(first, last):
    return f"{first}.{last}".lower()


# repair


def mean(x):
    return sum(x) / len(x) if x else 0


def double(x):
    return 2 * x


def last(x):
    return x[-1]


def countdown(n):
    return list(range(n, 0, -1))


def area(w, h):
    return w * h


def is_three(x):
    return x == 3


def remove_all(items, value):
    return [item for item in items if item != value]


def join(words):
    return "".join(words)


def first(x):
    return x[0] if x else None


def nearly_equal(a, b):
    return math.isclose(a, b)


def sorted_copy(items):
    return sorted(items)


def is_adult(age):
    return age >= 18


def day_name(n):
    return ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"][n - 1]


def total_line(n):
    return f"Total: {n}"


def absolute(x):
    return -x if x < 0 else x


def power(base, n):
    return 1 if n == 0 else base * power(base, n - 1)


def total(prices):
    return sum(prices)


def swap(a, b):
    return b, a


def find(items, wanted):
    return items.index(wanted) if wanted in items else -1


def add(x, items=None):
    return [*(items or []), x]


def lookup(mapping, key):
    return mapping.get(key, "unknown")
