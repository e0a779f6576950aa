/** Zero-width non-joiner and joiner. */
const JOINER = '[\\u200c\\u200d]'

/** Between two letters or marks of these scripts. */
function within(invisible: string, ...scripts: string[]): string {
  const inScript = `[[\\p{L}\\p{M}]&&[${scripts.map((name) => `\\p{scx=${name}}`).join('')}]]`
  return `(?<=${inScript})${invisible}(?=${inScript})`
}

const PICTURE = '\\p{ExtPict}[\\ufe0e\\ufe0f\\p{EMod}]?'

/** Invisible characters that are right where they stand, because the word or the emoji is another without them. */
const NEEDED = new RegExp(
  [
    // Scripts whose letters join. RFC 5892 (A.1) takes joiners after letters that join only, but people type
    // them after every letter, as in Persian names.
    within(JOINER, 'Arab', 'Syrc', 'Nkoo', 'Adlm', 'Mong', 'Rohg'),
    within(JOINER, 'Deva', 'Beng', 'Guru', 'Gujr', 'Orya', 'Taml', 'Telu', 'Knda', 'Mlym', 'Sinh'),
    // After a vowel killer of India or Sri Lanka, also at the end of a word (RFC 5892, A.1 and A.2).
    `(?<=[\\u094d\\u09cd\\u0a4d\\u0acd\\u0b4d\\u0bcd\\u0c4d\\u0ccd\\u0d4d\\u0dca])${JOINER}`,
    // Scripts without spaces also mark where a line may break.
    within('[\\u200b\\u200c\\u200d]', 'Khmr', 'Mymr', 'Thai', 'Laoo', 'Bali', 'Java', 'Tibt'),
    // Variants of an ideograph, which Japanese names distinguish, and of a Mongolian letter.
    '(?<=\\p{UIdeo})[\\ufe00-\\ufe02\\u{e0100}-\\u{e01ef}]',
    '(?<=[\\u1820-\\u18aa])[\\u180b-\\u180d\\u180f]',
    within('\\u180e', 'Mong'),
    // Emoji: the flags of England, Scotland and Wales, a keycap, a heart in colour, a family.
    '\\u{1f3f4}\\u{e0067}\\u{e0062}(?:\\u{e0065}\\u{e006e}\\u{e0067}|\\u{e0073}\\u{e0063}\\u{e0074}|\\u{e0077}\\u{e006c}\\u{e0073})\\u{e007f}',
    '[#*0-9]\\ufe0f\\u20e3',
    `${PICTURE}(?:\\u200d${PICTURE})*`,
  ].join('|'),
  'gv',
)

/** Controls, formats such as a change of direction, lone surrogates, line breaks, fillers. */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{DI}]/u

/** Letters, digits and symbols, without those whose glyph is blank, such as the braille pattern without dots. */
const SHOWN = /[[\p{L}\p{N}\p{P}\p{S}]--[\p{DI}\u2800\ufffc\u{1d159}\u{13441}\u{13442}]]/v

/** Whether a text shows something, and has no invisible character besides those that its script or emoji needs. */
export const isVisibleText = (text: string): boolean =>
  SHOWN.test(text) && !INVISIBLE.test(text.replace(NEEDED, ''))
