/**
 * Splits source code into tokens, without white space, comments and trailing commas. Names have roles, so
 * that code can be compared by its shape, regardless of its names.
 */

/** `short` is a key and its value in one, as in `{ id }`. */
type Role = 'value' | 'member' | 'key' | 'short'

export interface Token {
  text: string
  start: number
  end: number
  /** Undefined for every token but names that a rename could change. */
  role: Role | undefined
}

const LANGUAGE = new Set(
  (
    'any as async await boolean break case catch class const continue default delete do else export extends false ' +
    'finally for function if import in instanceof interface keyof let never new null number of readonly return ' +
    'satisfies string switch this throw true try type typeof unknown var void while yield'
  ).split(' '),
)

const SPACE = /\s+|\/\/.*|\/\*[\s\S]*?\*\//y
const NAME = /[A-Za-z_$][\w$]*/y
const OTHER =
  /\d[\w.]*|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|\.\.\.|=>|[=!]==|\?\?=?|\?\.|&&|\|\||\*\*|\+\+|--|[<>=!+\-*/%|&^]=|[\s\S]/y
/** Matches the text of a template from one `${…}` to the next. */
const CHUNK = /[`}](?:[^`\\$]|\\[\s\S]|\$(?!\{))*(?:`|\$\{)/y
const REG_EXP = /\/(?![/*])(?:[^/\\[\n]|\\.|\[(?:[^\]\\]|\\.)*\])+\/\w*/y
const BEFORE_REG_EXP = /^(?:[(,=:[!&|?{};]|&&|\|\||=>|return)$/

function readAt(pattern: RegExp, source: string, start: number): string | undefined {
  pattern.lastIndex = start
  return pattern.exec(source)?.[0]
}

/** Splits code into tokens. The code may begin or end inside brackets. */
export function tokensOf(source: string): Token[] {
  const tokens: (Token & { inside: string | undefined })[] = []
  const brackets: string[] = []
  for (let start = 0, end = 0; start < source.length; start = end) {
    const space = readAt(SPACE, source, start)
    end = start + (space ?? '').length
    if (space !== undefined) continue
    const isChunk = source[start] === '`' || (source[start] === '}' && brackets.at(-1) === '`')
    const mayBeRegExp = BEFORE_REG_EXP.test(tokens.at(-1)?.text ?? '(')
    const text =
      (isChunk ? readAt(CHUNK, source, start) : undefined) ??
      (mayBeRegExp ? readAt(REG_EXP, source, start) : undefined) ??
      readAt(NAME, source, start) ??
      readAt(OTHER, source, start) ??
      ''
    end = start + text.length
    tokens.push({ text, start, end, role: undefined, inside: brackets.at(-1) })
    if (/^[([{]$/.test(text) || /^`[\s\S]*\$\{$/.test(text)) brackets.push(text.slice(0, 1))
    else if (/^[)\]}]$/.test(text) || /^\}[\s\S]*`$/.test(text)) {
      const opened = { ')': '(', ']': '[' }[text] ?? '{'
      // The bracket was opened before the code begins.
      if (brackets.pop() === undefined) for (const token of tokens) token.inside ??= opened
    }
  }
  const counted = tokens.filter(({ text }, at) => text !== ',' || !/^[)\]}]/.test(tokens[at + 1]?.text ?? ''))
  for (const [at, token] of counted.entries()) token.role = roleOf(token, counted[at - 1], counted[at + 1])
  return counted
}

function roleOf(
  { text, inside }: { text: string; inside: string | undefined },
  before: Token | undefined,
  after: Token | undefined,
): Role | undefined {
  if (readAt(NAME, text, 0) === undefined) return undefined
  if (before?.text === '.' || before?.text === '?.') return 'member'
  // The code may begin with a key.
  const isFirst = before
    ? inside === '{' && /^[{,]$/.test(before.text)
    : inside === '{' || inside === undefined
  if (isFirst && after?.text === ':') return 'key'
  if (LANGUAGE.has(text) || Object.hasOwn(globalThis, text)) return undefined
  return isFirst && /^[,}=]$/.test(after?.text ?? '') ? 'short' : 'value'
}
