import { expect, test } from 'vitest'
import { twofa } from '../../core/account/fields.ts'
import { linkCode, mailedCode, secondFactorCode } from '../../core/credentials/typed-codes.ts'
import { validate } from '../../functions/http/validate.ts'

/** What comes around a code when people copy it. */
const SURROUNDINGS: [string, (code: string) => string][] = [
  ['a trailing line break', (code) => `${code}\r\n`],
  ['spaces and tabs', (code) => `\t ${code}  `],
  ['a no-break space', (code) => `\u00a0${code}\u202f`],
  ['a zero-width space and a byte order mark', (code) => `\ufeff${code.slice(0, 3)}\u200b${code.slice(3)}`],
  ['a direction mark', (code) => `\u200f\u2068${code}\u2069`],
  ['quotes', (code) => `"${code}"`],
  ['typographic quotes and a full stop', (code) => `“${code}”.`],
  ['brackets and a colon', (code) => `: (${code})`],
  ['a quotation mark of mail', (code) => `> ${code}`],
]

test.each(SURROUNDINGS)('a code of any kind is taken with %s', (_, around) => {
  expect(secondFactorCode(around('123456'))).toBe('123456')
  expect(secondFactorCode(around('abcde-fgh12'))).toBe('abcdefgh12')
  expect(mailedCode(around('b352935253674aeeb43d4ed4362745ab'))).toBe('b352935253674aeeb43d4ed4362745ab')
  expect(linkCode(around('Ab-c_D9x'))).toBe('Ab-c_D9x')
})

test.each([
  ['a space', '123 456'],
  ['a narrow no-break space', '123\u202f456'],
  ['a hyphen', '123-456'],
  ['an en dash', '123–456'],
  ['a minus sign', '123−456'],
  ['a soft hyphen', '123\u00ad456'],
  ['Arabic-Indic digits', '١٢٣٤٥٦'],
  ['Persian digits', '۱۲۳ ۴۵۶'],
  ['Devanagari digits', '१२३४५६'],
  ['Bengali digits', '১২৩৪৫৬'],
  ['full-width digits', '１２３４５６'],
  ['mathematical digits', '𝟏𝟐𝟑𝟰𝟱𝟲'],
  ['digits of a script whose row follows another', '\u{116db}\u{116dc}\u{116d3}456'],
])('six digits are taken with %s', (_, typed) => {
  expect(validate(twofa, typed)).toBe('123456')
})

test.each([
  ['in upper case', 'ABCDE-FGH12'],
  ['without the hyphen', 'abcdefgh12'],
  ['with more hyphens', 'ab-cde--fgh-12'],
  ['with I and l for 1', 'abcde-fghI2'],
  ['with a capital L for 1', 'ABCDE-FGHL2'],
  ['with another dash', 'abcde—fgh12'],
  ['with full-width letters', 'ａｂｃｄｅ－ｆｇｈ１２'],
])('a recovery code is taken %s', (_, typed) => {
  expect(validate(twofa, typed)).toBe('abcdefgh12')
})

test('no more of a text is looked at than may hold a code, and one character to tell that it is longer', () => {
  for (const read of [secondFactorCode, mailedCode, linkCode]) {
    expect(read('7'.repeat(200))).toHaveLength(200)
    expect(read('7'.repeat(1_000_000))).toHaveLength(201)
  }
})

test('O and o are 0 in a recovery code and in a mailed code', () => {
  expect(secondFactorCode('OoObc-defgh')).toBe('000bcdefgh')
  expect(mailedCode('B3O2 93525367 4aee\nb43d4ed436274lIo')).toBe('b302935253674aeeb43d4ed436274110')
})

test.each([
  ['nothing', ''],
  ['only spaces', '   '],
  ['five digits', '12345'],
  ['seven digits', '1234567'],
  ['a letter among digits', '12345a'],
  ['a decimal point', '123.456'],
  ['a sign', '+123456'],
  ['NUL', '123\x256'],
  ['a lone surrogate', '123456\ud800'],
  ['two codes', '123456 123456'],
  ['a number in words', 'one two three'],
  ['Roman numerals', 'ⅫⅫⅫⅫ'],
  ['a code after 200 spaces and a text', `${' '.repeat(201)}123456 and more`],
  ['nine characters', 'abcde-fgh1'],
])('%s is no code', (_, typed) => {
  expect(() => validate(twofa, typed)).toThrow()
})
