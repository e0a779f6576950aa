import { type Token, tokensOf } from './tokens.ts'

/** A function of `core`. A patch reads its name at run time, so a rename needs no change of the patch. */
export type Handle = (...args: never[]) => unknown

/** Code in one line or several. Its layout does not matter. */
type Code = string | readonly string[]

/**
 * A change of `core`: the only place with the shape of `find` becomes `put`. Strings, numbers, keywords and
 * the text of templates must be equal. Names are compared by their pattern only, so that a rename does not
 * matter: `find` and `put` may keep the old names, and the new ones are filled in.
 */
export interface Patch {
  find: Code
  put: Code
  /** An exported function of the file to search, for a shape that also occurs in other files. */
  near?: Handle
  /** Functions to import because only `put` calls them, by their names in `put`. */
  using?: Record<string, Handle>
  /** Other places, in any file, which define the names that occur only in `put`. */
  namesFrom?: readonly Code[]
}

/** A bug: one change, or several. */
export interface Bug extends Patch {
  more?: readonly Patch[]
}

/** Source texts by path. */
export type Sources = ReadonlyMap<string, string>

interface Place {
  file: string
  start: number
  end: number
  /** Names in the source by their names in the shape. */
  names: Map<string, string>
}

const textOf = (code: Code): string => (typeof code === 'string' ? code : code.join('\n'))

const kindOf = ({ role }: Token): 'property' | 'value' =>
  role === 'member' || role === 'key' ? 'property' : 'value'

const tokensBySource = new Map<string, Token[]>()

function tokensOnce(source: string): Token[] {
  const tokens = tokensBySource.get(source) ?? tokensOf(source)
  tokensBySource.set(source, tokens)
  return tokens
}

/** Whether two tokens are equal apart from their names. */
const isAlike = (part: Token, token: Token): boolean =>
  part.role === undefined || token.role === undefined
    ? part.role === token.role && part.text === token.text
    : part.role === 'short' || kindOf(part) === kindOf(token)

/** Compares a shape with the source from one token on. @returns the token after the match and the names. */
function matchAt(
  shape: Token[],
  source: Token[],
  from: number,
): { to: number; names: Place['names'] } | undefined {
  const names: Place['names'] = new Map()
  const isSame = (kind: 'property' | 'value', name: string, actual: string) => {
    const known = names.get(`${kind} ${name}`)
    names.set(`${kind} ${name}`, actual)
    return known === undefined || known === actual
  }
  let to = from
  for (const part of shape) {
    let token = source[to++]
    if (!token || !isAlike(part, token)) return undefined
    if (part.role === 'short') {
      if (!isSame('property', part.text, token.text)) return undefined
      // A rename may have split `{ id }` into `{ id: name }`.
      if (token.role === 'key') {
        to += 2
        token = source[to - 1]
      }
    }
    if (part.role !== undefined && !(token && isSame(kindOf(part), part.text, token.text))) return undefined
  }
  return { to, names }
}

function placesOf(code: Code, sources: Sources): Place[] {
  const shape = tokensOf(textOf(code))
  return [...sources].flatMap(([file, source]) => {
    const tokens = tokensOnce(source)
    return tokens.flatMap((token, from) => {
      if (shape[0] && !isAlike(shape[0], token)) return []
      const match = matchAt(shape, tokens, from)
      const end = match && tokens[match.to - 1]?.end
      return match && end !== undefined ? [{ file, start: token.start, end, names: match.names }] : []
    })
  })
}

function onlyPlaceOf(code: Code, sources: Sources): Place {
  const [place, ...others] = placesOf(code, sources)
  const text = textOf(code)
  if (!place) {
    const where = sources.size === 1 ? [...sources.keys()].join() : 'core'
    throw new Error(`No place in ${where} has this shape. Quote the code as it is now: ${text}`)
  }
  if (others.length === 0) return place
  const files = [place, ...others].map(({ file }) => file).join(', ')
  throw new Error(`Several places have this shape (${files}). Quote more of the code around it: ${text}`)
}

/** @throws Error unless exactly one file exports the function */
export function fileExporting(name: string, sources: Sources): string {
  const files = [...sources.keys()].filter((file) => {
    const source = sources.get(file) ?? ''
    return source.includes(name) && exportsOf(source).has(name)
  })
  const [file, ...others] = files
  if (file === undefined || others.length > 0)
    throw new Error(`Not exactly one file of core exports ${name}: ${files.join(', ') || 'none does'}`)
  return file
}

/** Names of exported functions and constants. */
function exportsOf(source: string): Set<string> {
  const texts = tokensOnce(source).map(({ text }) => text)
  const names = texts.map((text, at) => {
    if (text !== 'export') return undefined
    return texts.slice(at + 1, at + 5).find((each) => !/^(?:async|function|const|\*)$/.test(each))
  })
  return new Set(names.filter((name) => name !== undefined))
}

/** Properties of JavaScript's built-in objects. */
const BUILT_IN = new Set(
  [Array, Promise, Map, Set, String, Number].flatMap(({ prototype }) =>
    Object.getOwnPropertyNames(prototype),
  ),
)

/** `put` with the names of the source. A value whose name begins with `$` belongs to the patch itself. */
function render(put: Code, names: Place['names'], imported: Map<string, string>): string {
  const text = textOf(put)
  const known = (kind: 'property' | 'value', name: string): string => {
    const actual = kind === 'value' && name.startsWith('$') ? name : names.get(`${kind} ${name}`)
    const given = actual ?? (kind === 'value' ? imported.get(name) : BUILT_IN.has(name) ? name : undefined)
    if (given === undefined)
      throw new Error(`Unknown: what ${name} is called in the source. Add namesFrom or using: ${text}`)
    return given
  }
  let rendered = ''
  let end = 0
  for (const token of tokensOf(text)) {
    rendered += text.slice(end, token.start)
    end = token.end
    if (token.role === undefined) rendered += token.text
    else if (token.role === 'short') {
      const [key, value] = [known('property', token.text), known('value', token.text)]
      rendered += key === value ? key : `${key}: ${value}`
    } else rendered += known(kindOf(token), token.text)
  }
  return rendered + text.slice(end)
}

/** The import lines of a patch as `source`, and the imported names by their names in `put`. */
function importsOf(using: Record<string, string>, file: string, sources: Sources) {
  const toRoot = file.includes('/') ? '../' : './'
  const lines = Object.entries(using).map(
    ([name, actual]) =>
      `import { ${actual} as $${name} } from '${toRoot}${fileExporting(actual, sources)}'\n`,
  )
  return { source: lines.join(''), names: new Map(Object.keys(using).map((name) => [name, `$${name}`])) }
}

/**
 * The changed sources of `core` with the bug in them.
 * @param nameOf returns the name of a function in these sources
 * @throws Error if a shape does not occur exactly once, or if no place defines a name of `put`
 */
export function patched(
  { more = [], ...first }: Bug,
  sources: Sources,
  nameOf = ({ name }: Handle): string => name,
): Map<string, string> {
  const changed = new Map<string, string>()
  for (const { find, put, near, using = {}, namesFrom = [] } of [first, ...more]) {
    const now = new Map([...sources, ...changed])
    const only = (file: string) => new Map([[file, now.get(file) ?? '']])
    const place = onlyPlaceOf(find, near ? only(fileExporting(nameOf(near), sources)) : now)
    const { file, start, end } = place
    const others = namesFrom.map((code) =>
      onlyPlaceOf(code, placesOf(code, only(file)).length > 0 ? only(file) : now),
    )
    // If several places define a name, the first one wins, and `find` comes before all others.
    const names = new Map([...others.reverse(), place].flatMap((each) => [...each.names]))
    const handles = Object.entries(using).map(([name, handle]) => [name, nameOf(handle)])
    const imports = importsOf(Object.fromEntries(handles), file, sources)
    const source = now.get(file) ?? ''
    const rendered = render(put, names, imports.names)
    changed.set(file, imports.source + source.slice(0, start) + rendered + source.slice(end))
  }
  return changed
}
