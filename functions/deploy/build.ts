import { readFileSync, rmSync } from 'node:fs'
import { join, relative } from 'node:path'
import { parseSync } from '@swc/core'
import { build, type Metafile, type Plugin, transformSync } from 'esbuild'
import { asksPeople, guardsOf, type Placed } from '../http/route.ts'
import { errorsOf } from '../http/row-errors.ts'
import { rows } from '../http/rows.ts'
import { adaptersOf, BUNDLES, bundleOptions } from './bundle.ts'
import { type Deployed, functions } from './functions.ts'

const ROOT = join(import.meta.dirname, '..', '..')

const LIVE = 'functions/http/live.ts'

/**
 * Builds functions, each into a folder with the function's name, which is emptied first.
 * @param folder the parent of these folders; by default the one that the deployment reads.
 * @returns esbuild's metafile of each function, by the function's name.
 */
export async function buildBundles(
  fns: readonly Deployed[] = functions,
  folder = join(ROOT, BUNDLES),
): Promise<Map<string, Metafile>> {
  const buildOne = async (fn: Deployed) => {
    const outdir = join(folder, fn.name)
    rmSync(outdir, { recursive: true, force: true })
    const options = bundleOptions(fn, ROOT)
    const plugins = [...options.plugins, onlyWhatIsUsed(fn)]
    const { metafile } = await build({ ...options, plugins, outdir })
    return [fn.name, metafile] as const
  }
  return new Map(await Promise.all(fns.map(buildOne)))
}

/**
 * Removes from our own modules what the function does not use: other functions' rows, properties of its own
 * row that only the OpenAPI document needs, texts of errors that its row does not list, adapters of other
 * ports, and constants that are then unused. Creating a schema takes time at start, and esbuild cannot know
 * that it has no side effect.
 */
export function onlyWhatIsUsed(fn: Deployed): Plugin {
  const row = rows.find(({ dialect, file }) => `${dialect}-${file}` === fn.name)
  return {
    name: 'only-what-is-used',
    setup({ onLoad, onResolve }) {
      // Importing one of our modules has no side effect.
      onResolve({ filter: /^\.\.?\/.*\.ts$/ }, ({ path, resolveDir }) => ({
        path: join(resolveDir, path),
        sideEffects: false,
      }))
      onLoad({ filter: /\/(core|functions)\/.*\.ts$/ }, ({ path }) => {
        const module = relative(ROOT, path)
        const optional = optionalModules[module]
        if (row && optional?.isUnusedBy(row)) return { contents: stubOf(optional.name) }
        if (module === LIVE) {
          const live = removeUnused(readFileSync(path, 'utf8'), { table: /^\{/, names: adaptersOf(fn) })
          return { contents: importStatically(live) }
        }
        const used = row && usedTableOf(module, row)
        return { contents: used ? removeUnused(readFileSync(path, 'utf8'), used) : withoutTable(path) }
      })
    },
  }
}

/** The code of modules without a table, which is the same in every bundle, by their paths. */
const withoutTables = new Map<string, string>()

function withoutTable(path: string): string {
  const code = withoutTables.get(path) ?? removeUnused(readFileSync(path, 'utf8'), undefined)
  withoutTables.set(path, code)
  return code
}

/**
 * Modules that some rows do not use: the only function that each exports, and whether a row does not use it.
 */
const optionalModules: Record<string, { name: string; isUnusedBy: (row: Placed) => boolean }> = {
  'functions/http/gate.ts': {
    name: 'gate',
    isUnusedBy: ({ auth }) => auth !== 'account' && auth !== 'operator',
  },
  'functions/http/key-caller.ts': { name: 'keyCaller', isUnusedBy: ({ auth }) => auth !== 'key' },
  'functions/http/admin-key-caller.ts': {
    name: 'adminKeyCaller',
    isUnusedBy: ({ auth }) => auth !== 'admin-key',
  },
  'functions/http/operator-caller.ts': {
    name: 'operatorCaller',
    isUnusedBy: ({ auth }) => auth !== 'operator',
  },
  'functions/http/proof.ts': { name: 'checkProof', isUnusedBy: ({ proof }) => proof !== 'recent' },
  'functions/http/source-limit.ts': {
    name: 'limitSource',
    isUnusedBy: (row) => guardsOf(row).length === 0,
  },
  'functions/http/challenge.ts': { name: 'requirePerson', isUnusedBy: (row) => !asksPeople(row) },
  'functions/http/vault-turn.ts': {
    name: 'takeTurns',
    isUnusedBy: ({ needs }) => !needs.includes('identity'),
  },
  'functions/http/session-cookie.ts': {
    name: 'cookieSession',
    isUnusedBy: ({ sessionCookie }) => !sessionCookie,
  },
  'functions/http/form.ts': { name: 'parseForm', isUnusedBy: ({ form }) => !form },
}

const stubOf = (name: string) => `export function ${name}() { throw Error('unused') }`

/**
 * Makes the imports that `live.ts` awaits static. `import().then()` stays: such a module loads at its first
 * use.
 */
function importStatically(code: string): string {
  const imports = new Set<string>()
  const rest = code.replaceAll(/\(await import\(("[^"]+")\)\)\.(\w+)/g, (_, from: string, name: string) => {
    imports.add(`import { ${name} } from ${from}\n`)
    return name
  })
  return [...imports, rest].join('')
}

/** Properties of a row that only the OpenAPI document and the deployment read. */
const FOR_THE_DOCUMENT = ['summary', 'description', 'errors', 'token']

/** The entries that a row uses of a module's table: rows by name, or texts by error code. */
function usedTableOf(module: string, row: Placed): UsedTable | undefined {
  const [, dialect] = /^functions\/(?!ops\/)(\w+)\/routes\.ts$/.exec(module) ?? []
  if (dialect) {
    const names = dialect === row.dialect ? [row.name] : []
    return { table: /^place\(/, names, without: FOR_THE_DOCUMENT }
  }
  // The operators' rows are spread over files by noun.
  if (/^functions\/ops\/rows\/[\w-]+\.ts$/.test(module)) {
    const names = row.dialect === 'ops' ? [row.name] : []
    return { table: /^\{/, names, without: FOR_THE_DOCUMENT, isPart: true }
  }
  // A function that throws an error code missing in its row has a bug, so the client gets `internal_error`.
  if (module === 'functions/http/problems.ts')
    return { table: /^\{/, names: errorsOf(row), fallback: 'internal_error' }
  return undefined
}

/** Finds the table of a module and says which entries stay. */
interface UsedTable {
  /** Matches the start of the expression that holds the table. */
  table: RegExp
  names: readonly string[]
  /** Properties of each entry that no function reads. */
  without?: readonly string[]
  /** The entry that stands in for every missing name. */
  fallback?: string
  /** Whether the table is the module's export, one of several parts, any of which may have the entry. */
  isPart?: true
}

/** The parts of swc's syntax tree that are read here. */
interface Node {
  type: string
  span: { start: number; end: number }
  declaration?: Node
  declarations?: { init?: Node }[]
  arguments?: { expression: Node }[]
  properties?: (Node & { key?: { value: string }; value?: Node | string })[]
}

/** Returns a module's code with its constants marked as free of side effects and its table reduced. */
function removeUnused(source: string, used: UsedTable | undefined): string {
  const { code } = transformSync(source, { loader: 'ts', target: 'node24' })
  // swc's spans count bytes, not characters.
  const bytes = Buffer.from(code)
  const tree = parseSync(code, { syntax: 'ecmascript', target: 'es2022' }) as unknown as Node & {
    body: Node[]
  }
  const offset = tree.span.start
  const textOf = ({ span }: Node) => bytes.toString('utf8', span.start - offset, span.end - offset)
  const edits: { at: Node['span']; text: string }[] = []
  for (const item of tree.body) {
    const isTable = (init: Node) => used?.table.test(textOf(init)) && (item.declaration || !used.isPart)
    for (const { init } of (item.declaration ?? item).declarations ?? []) {
      if (!init || !/^(Call|New|TaggedTemplate|Object|Array)/.test(init.type)) continue
      const text = used && isTable(init) ? reduceTable(init, used, textOf) : textOf(init)
      // The function that wraps the constant could not await.
      const isAwaiting = /\bawait\b/.test(text)
      edits.push({ at: init.span, text: isAwaiting ? text : `/* @__PURE__ */ (() => (${text}))()` })
    }
  }
  const edited = edits.reduceRight((all, { at, text }) => {
    const [before, after] = [all.subarray(0, at.start - offset), all.subarray(at.end - offset)]
    return Buffer.concat([before, Buffer.from(text), after])
  }, bytes)
  return edited.toString()
}

/** @throws Error unless the table is an object of plain entries, alone or as the last argument of a call. */
function reduceTable(
  init: Node,
  { names, without, fallback, isPart }: UsedTable,
  textOf: (node: Node) => string,
): string {
  const object = init.arguments?.at(-1)?.expression ?? init
  const found = propertiesOf(object).filter(({ name }) => names.includes(name))
  if (found.length !== names.length && !isPart) throw new Error(`The table lacks one of ${names.join(', ')}.`)
  const entry = (value: Node) =>
    without
      ? objectOf(
          propertiesOf(value).filter(({ name }) => !without.includes(name)),
          textOf,
        )
      : textOf(value)
  const reduced = objectOf(found, entry)
  const expression = textOf(init).replace(textOf(object), () => reduced)
  return fallback === undefined
    ? expression
    : `new Proxy(${expression}, { get: (all, name) => all[name] ?? all.${fallback} })`
}

interface Property {
  name: string
  value: Node
}

/** @throws Error if an object holds anything but plain properties. */
function propertiesOf({ properties = [] }: Node): Property[] {
  return properties.map((property) => {
    const { type, key, value } = property
    // `{ path }`: the name is the value.
    if (type === 'Identifier' && typeof value === 'string') return { name: value, value: property }
    if (type !== 'KeyValueProperty' || !key || typeof value !== 'object')
      throw new Error(`A table holds a ${type}, and only plain properties are supported.`)
    return { name: key.value, value }
  })
}

const objectOf = (properties: Property[], textOf: (node: Node) => string): string =>
  `{ ${properties.map(({ name, value }) => `${name}: ${textOf(value)}`).join(', ')} }`

// Not `import.meta.main`, which is false for a file that test/run.mjs starts.
if (process.argv[1] === import.meta.filename) await buildBundles()
