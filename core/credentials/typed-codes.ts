/**
 * Codes as people type and paste them, in the one form in which they are checked. A text that is no code keeps
 * something that no code has, so the schema after it still refuses it.
 */

/** What a line break, a word processor or a chat window leaves in a text: spaces and characters that nobody sees. */
const UNSEEN = /[\s\p{Cf}\p{DI}]/gu

/** Quotes, brackets and the punctuation of a sentence around a code. */
const SURROUNDING = /^[\p{Ps}\p{Pe}\p{Pi}\p{Pf}"'`.,:;!?<>*|…]+|[\p{Ps}\p{Pe}\p{Pi}\p{Pf}"'`.,:;!?<>*|…]+$/gu

/** Hyphens and dashes of every kind, the minus sign and the bullet that some keyboards put for a hyphen. */
const DASHES = /[\p{Pd}\u2212\u2043]/gu

/** The longest text that may hold a code, characters. */
export const TYPED_CODE_LENGTH = 200

/** A text without what surrounds a code in it. Full-width forms, such as of a Japanese keyboard, become ASCII. */
const bare = (text: string): string =>
  text
    .slice(0, TYPED_CODE_LENGTH + 1)
    .normalize('NFKC')
    .replace(UNSEEN, '')
    .replace(SURROUNDING, '')

/** Decimal digits of every script as ASCII, such as the Arabic-Indic or the Devanagari ones. */
const withAsciiDigits = (text: string): string =>
  text.replace(/[^\0-\x7f]/gu, (char) => (/\p{Nd}/u.test(char) ? String(digitValue(char)) : char))

/** Unicode has the ten digits of a script in a row, and rows of several scripts may follow each other. */
function digitValue(digit: string): number {
  const at = digit.codePointAt(0) ?? 0
  let zero = at
  while (/\p{Nd}/u.test(String.fromCodePoint(zero - 1))) zero--
  return (at - zero) % 10
}

/** Letters that Crockford's base32 leaves out as the digits that they look like. */
const withoutLookAlikes = (lower: string): string => lower.replaceAll('o', '0').replace(/[il]/g, '1')

const compact = (text: string): string => withAsciiDigits(bare(text)).replace(DASHES, '').toLowerCase()

/** A code of an authenticator app, six ASCII digits, or a recovery code, ten characters of base32. */
export function secondFactorCode(typed: string): string {
  const code = compact(typed)
  return code.length === 6 ? code : withoutLookAlikes(code)
}

/** A mailed code: 32 hex digits in lower case. Hex has neither `o`, `i` nor `l`, so they stand for digits too. */
export const mailedCode = (typed: string): string => withoutLookAlikes(compact(typed))

/** The code of a mailed link, in which case, hyphens and underscores count. */
export const linkCode = (typed: string): string => bare(typed)
