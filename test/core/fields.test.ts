import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { safeParse } from 'zod/mini'
import {
  email,
  emailKey,
  fullName,
  password,
  typedPassword,
  username,
  usernameKey,
} from '../../core/account/fields.ts'

const takes = (schema: Parameters<typeof safeParse>[0], value: unknown) => safeParse(schema, value).success

/** Characters that are invisible, reverse text or break lines; each is refused at any position. */
const HIDDEN: [name: string, character: string][] = [
  ['NUL', '\0'],
  ['a line feed', '\n'],
  ['a tab', '\t'],
  ['a delete', '\x7f'],
  ['a C1 control', '\x85'],
  ['a zero-width space', '\u200b'],
  ['a zero-width joiner', '\u200d'],
  ['a soft hyphen', '\u00ad'],
  ['a right-to-left override', '\u202e'],
  ['a byte order mark', '\ufeff'],
  ['a no-break space', '\u00a0'],
  ['a lone surrogate', '\ud800'],
]

describe('username', () => {
  test.each(['ada', 'Ada', '007', 'a.b_c-d', 'a'.repeat(32), 'constructor'])('takes %s', (name) => {
    expect(takes(username, name)).toBe(true)
  })

  test.each([
    ['two characters', 'ab'],
    ['33 characters', 'a'.repeat(33)],
    ['nothing', ''],
    ['a dot in front', '.ada'],
    ['a hyphen in front', '-ada'],
    ['an underscore in front', '__proto__'],
    ['a number sign', 'ada#1'],
    ['a key’s prefix', 'ACCOUNT#ada'],
    ['a Cyrillic letter that looks Latin', 'аda'],
    ['the Turkish dotted capital', 'İda'],
    ['the Kelvin sign', '\u212aevin'],
    ['a full-width letter', 'ａda'],
    ['a composed accent', 'zoë'],
    ['a space at the end', 'ada '],
    ['a line break at the end', 'ada\n'],
    ['a slash', 'a/b'],
    ['a percent sign', 'a%20'],
    ['an address', 'ada@mail.example'],
  ])('refuses %s', (_, name) => {
    expect(takes(username, name)).toBe(false)
  })

  test.each(HIDDEN)('refuses %s', (_, character) => {
    for (const name of [`${character}ada`, `a${character}da`, `ada${character}`])
      expect(takes(username, name)).toBe(false)
  })

  test('every accepted username equals its key apart from the case of A to Z', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{2,31}$/), (name) => {
        expect(takes(username, name)).toBe(true)
        expect(usernameKey(name)).toBe(usernameKey(name.toUpperCase()))
        expect(usernameKey(name)).toMatch(/^[a-z0-9._-]+$/)
      }),
    )
  })
})

describe('email', () => {
  test.each([
    'ada@mail.example',
    'a@b.co',
    "o'neil+tag_1@sub.mail.example",
    'Zoë@bücher.example',
    'दीप@उदाहरण.भारत',
    '#@mail.example',
    `${'a'.repeat(64)}@mail.example`,
    'ada@xn--bcher-kva.example',
    'ada@mail.xn--p1ai',
  ])('takes %s', (address) => {
    expect(takes(email, address)).toBe(true)
  })

  test.each([
    ['no @', 'ada.mail.example'],
    ['two @', 'ada@mail@example.org'],
    ['nothing before the @', '@mail.example'],
    ['65 characters before the @', `${'a'.repeat(65)}@mail.example`],
    ['255 characters', `ada@${'a.'.repeat(122)}example`],
    ['a domain without a dot', 'ada@localhost'],
    ['a dot at the end', 'ada@mail.example.'],
    ['a dot before the @', 'ada.@mail.example'],
    ['two dots in a row', 'a..da@mail.example'],
    ['an empty label', 'ada@mail..example'],
    ['a label that begins with a hyphen', 'ada@-mail.example'],
    ['a label of 64 characters', `ada@${'a'.repeat(64)}.example`],
    ['a space around', ' ada@mail.example '],
    ['a name around', 'Ada <ada@mail.example>'],
    ['a second recipient', 'ada@mail.example,eve@mail.example'],
    ['a quoted part', '"ada eve"@mail.example'],
    ['an address literal', 'ada@[127.0.0.1]'],
    ['an address of numbers', 'ada@127.0.0.1'],
    ['a header', 'ada@mail.example\r\nBcc: eve@mail.example'],
  ])('refuses %s', (_, address) => {
    expect(takes(email, address)).toBe(false)
  })

  test.each(HIDDEN)('refuses %s on either side', (_, character) => {
    for (const address of [`a${character}da@mail.example`, `ada@ma${character}il.example`])
      expect(takes(email, address)).toBe(false)
  })
})

describe('emailKey', () => {
  test.each([
    ['case', 'Ada@Mail.Example', 'ada@mail.example'],
    ['composition', 'zoe\u0308@mail.example', 'zo\u00eb@mail.example'],
    ['the Ångström sign', '\u212bsa@mail.example', '\u00e5sa@mail.example'],
    ['the Kelvin sign', '\u212a@mail.example', 'k@mail.example'],
    ['composition and case together', 'ZOE\u0308@MAIL.EXAMPLE', 'zo\u00eb@mail.example'],
  ])('%s makes no difference', (_, one, other) => {
    expect(emailKey(one)).toBe(emailKey(other))
  })

  test.each([
    ['the Turkish dotted capital and i', 'İda@mail.example', 'ida@mail.example'],
    ['a Cyrillic letter and the Latin one', 'аda@mail.example', 'ada@mail.example'],
    ['a full-width letter and the common one', 'ａda@mail.example', 'ada@mail.example'],
    ['a letter with an accent and the letter without it', 'zoë@mail.example', 'zoe@mail.example'],
  ])('%s are two different addresses', (_, one, other) => {
    expect(emailKey(one)).not.toBe(emailKey(other))
  })

  test('the key of a key is the same key', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(emailKey(emailKey(text))).toBe(emailKey(text))
      }),
      { numRuns: 1000 },
    )
  })
})

describe('password', () => {
  test.each(['Hello123!', '!!!!!!!!', 'pass word &', 'ÄÖÜäöüß*', `${'a'.repeat(127)}$`, '🔑🔑🔑🔑🔑🔑🔑#'])(
    'takes %s',
    (text) => {
      expect(takes(password, text)).toBe(true)
    },
  )

  test.each([
    ['seven characters', 'Hello1!'],
    ['five characters, though of nine code units', '🔑🔑🔑🔑#'],
    ['129 characters', `${'a'.repeat(128)}!`],
    ['none of the symbols', 'Hello1234'],
    ['only the equals sign of GreenCloud’s `containsany=`', 'Hello123='],
    ['a space in front', ' Hello123!'],
    ['a space at the end', 'Hello123! '],
    ['a line break', 'Hello\n123!'],
    ['NUL', 'Hello\x00123!'],
    ['a lone surrogate', 'Hello\ud800123!'],
    ['a number', 12345678],
  ])('refuses %s', (_, text) => {
    expect(takes(password, text)).toBe(false)
  })

  test.each(['!', '@', '#', '$', '%', '&', '*'])('%s alone is enough as a symbol', (symbol) => {
    expect(takes(password, `Hello123${symbol}`)).toBe(true)
  })

  test('a sign-in accepts every password that could ever have been set', () => {
    expect(takes(typedPassword, 'x')).toBe(true)
    expect(takes(typedPassword, '')).toBe(false)
    expect(takes(typedPassword, 'x'.repeat(129))).toBe(false)
  })
})

describe('fullName', () => {
  test.each([
    ['a Persian name', 'علی\u200cرضا'],
    ['a Persian name with a joiner after a letter that does not join', 'امیر\u200cحسین'],
    ['a Sinhala name', 'ශ්\u200dරී'],
    ['a Malayalam name that ends in a joiner', 'രാജന്\u200d'],
    ['a Bengali name', 'র\u200d্যামন'],
    ['a Hindi name', 'क्\u200cष'],
    ['a Khmer name with a line break opportunity', 'ភ្នំ\u200bពេញ'],
    ['a Mongolian name with a vowel separator', 'ᠰᠠᠢ\u180eᠨ'],
    ['a Japanese name in its own variant', '葛\u{e0100}城'],
    ['a heart in colour', '❤\ufe0f'],
    ['a family', '👨\u200d👩🏽\u200d👧'],
    ['a keycap', '1\ufe0f\u20e3'],
    ['the flag of Scotland', '🏴\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}'],
    ['braille with a blank', '⠓⠊\u2800⠁'],
    ['a question mark', '?'],
    ['a letter with a mark', 'Zoe\u0308'],
  ])('takes %s', (_, name) => {
    expect(takes(fullName, name)).toBe(true)
  })

  test.each([
    ['the braille blank', '\u2800'],
    ['braille blanks and spaces', '\u2800 \u2800'],
    ['a joiner', '\u200d'],
    ['a non-joiner', '\u200c'],
    ['a Hangul filler', '\u3164'],
    ['a half-width Hangul filler', '\uffa0'],
    ['a Hangul jamo filler', '\u115f'],
    ['a Mongolian vowel separator', '\u180e'],
    ['a combining mark', '\u0301'],
    ['a mark on a blank', '\u2800\u0301'],
    ['a variation selector', '\ufe0f'],
    ['an ideographic space', '\u3000'],
    ['a null notehead', '\u{1d159}'],
    ['nothing', ''],
  ])('refuses %s alone', (_, name) => {
    expect(takes(fullName, name)).toBe(false)
  })

  test.each([
    ['a joiner in a Latin word', 'a\u200db'],
    ['a joiner before a word', '\u200cعلی'],
    ['a joiner after a word', 'علی\u200c'],
    ['a joiner between two scripts', 'علی\u200cශ'],
    ['two joiners', 'علی\u200c\u200cرضا'],
    ['a joiner after an emoji', '👨\u200d'],
    ['a selector after a letter', 'a\ufe0f'],
    ['a text in tags', 'a\u{e0041}\u{e007f}'],
    ['a line separator', 'a\u2028b'],
    ['a right-to-left override', 'a\u202eb'],
    ['an isolate', 'ع\u2066ع'],
    ['a mark of direction', 'ع\u061cع'],
    ['a byte order mark', 'a\ufeff'],
    ['101 characters', 'a'.repeat(101)],
  ])('refuses %s', (_, name) => {
    expect(takes(fullName, name)).toBe(false)
  })
})
