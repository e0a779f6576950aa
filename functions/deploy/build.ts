import { readFileSync, rmSync } from 'node:fs'
import { join, relative } from 'node:path'
import { parseSync } from '@swc/core'
import { build, type Metafile, type Plugin, transformSync } from 'esbuild'
import { errorsOf } from '../http/openapi.ts'
import type { Placed } from '../http/route.ts'
import { rows } from '../http/rows.ts'
import { adaptersOf, BUNDLES, bundleOptions } from './bundle.ts'
import { type Deployed, functions } from './functions.ts'

const ROOT = join(import.meta.dirname, '..', '..')

const LIVE = 'functions/http/live.ts'

/**
 * Builds functions, each afresh into a folder of its name.
 * @param folder where the deployment looks for them, or another.
 * @returns what went into each, by the function's name.
 */
export async function buildBundles(
  fns: readonly Deployed[] = functions,
  folder = join(ROOT, BUNDLES),
): Promise<Map<string, Metafile>> {
  const build1 = async (fn: Deployed) => {
    const outdir = join(folder, fn.name)
    rmSync(outdir, { recursive: true, force: true })
    const options = bundleOptions(fn, ROOT)
    const plugins = [...options.plugins, onlyWhatIsUsed(fn)]
    const { metafile } = await build({ ...options, plugins, outdir })
    return [fn.name, metafile] as const
  }
  return new Map(await Promise.all(fns.map(build1)))
}

/**
 * Leaves out of our own modules what the function does not use: other functions' rows, what its own row says for
 * the OpenAPI document, the texts of errors that its row does not give, adapters of other ports, and constants that
 * nothing refers to then. Making a schema takes time, and esbuild cannot know that it does nothing else.
 */
function onlyWhatIsUsed(fn: Deployed): Plugin {
  const row = rows.find(({ dialect, file }) => `${dialect}-${file}` === fn.name)
  return {
    name: 'only-what-is-used',
    setup({ onLoad, onResolve }) {
      // None of our modules has side effects when it is imported.
      onResolve({ filter: /^\.\.?\/.*\.ts$/ }, ({ path, resolveDir }) => ({
        path: join(resolveDir, path),
        sideEffects: false,
      }))
      onLoad({ filter: /\/(core|functions)\/.*\.ts$/ }, ({ path }) => {
        const module = relative(ROOT, path)
        const spared = unused[module]
        if (row && spared?.by(row)) return { contents: leftOut(spared.name) }
        const source = readFileSync(path, 'utf8')
        if (module === LIVE)
          return { contents: atOnce(lighter(source, { table: /^\{/, names: adaptersOf(fn) })) }
        return { contents: lighter(source, row && keptOf(module, row)) }
      })
    },
  }
}

/** Modules that some rows do without: the one function that they export, and for which rows. */
const unused: Record<string, { name: string; by: (row: Placed) => boolean }> = {
  'functions/http/gate.ts': { name: 'gate', by: ({ auth }) => auth !== 'account' },
  'functions/http/form.ts': { name: 'parseForm', by: ({ form }) => !form },
}

const leftOut = (name: string) => `export function ${name}() { throw new Error('built without ${name}') }`

/** Turns what `live.ts` awaits while it opens the ports into static imports; `import().then()` stays for later. */
function atOnce(code: string): string {
  const imports: string[] = []
  const rest = code.replaceAll(/\(await import\(("[^"]+")\)\)\.(\w+)/g, (_, from: string, name: string) => {
    imports.push(`import { ${name} } from ${from}\n`)
    return name
  })
  return imports.join('') + rest
}

/** Properties of a row that the OpenAPI document and the deployment read, and no function. */
const FOR_THE_DOCUMENT = ['summary', 'description', 'errors']

/** What stays of the one table that some modules are: rows by name, texts by error code. */
function keptOf(module: string, row: Placed): Kept | undefined {
  const [, dialect] = /^functions\/(\w+)\/routes\.ts$/.exec(module) ?? []
  if (dialect) {
    const names = dialect === row.dialect ? [row.name] : []
    return { table: /^place\(/, names, without: FOR_THE_DOCUMENT }
  }
  // A code that the row does not have would be our own mistake, and is told as one.
  if (module === 'functions/http/problems.ts')
    return { table: /^\{/, names: errorsOf(row), fallback: 'internal_error' }
  return undefined
}

interface Kept {
  /** Matches the start of the expression that holds the table. */
  table: RegExp
  names: readonly string[]
  /** Properties of each entry that no function reads. */
  without?: readonly string[]
  /** The entry to give for a name that is not there. */
  fallback?: string
}

/** What of swc's syntax tree is looked at. */
interface Node {
  type: string
  span: { start: number; end: number }
  declaration?: Node
  declarations?: { init?: Node }[]
  arguments?: { expression: Node }[]
  properties?: { type: string; key?: { value: string }; value?: Node }[]
}

/** A module's code with its constants marked as made without effects, and its table cut down. */
function lighter(source: string, kept: Kept | undefined): string {
  const { code } = transformSync(source, { loader: 'ts', target: 'node24' })
  // swc counts bytes.
  const bytes = Buffer.from(code)
  const tree = parseSync(code, { syntax: 'ecmascript', target: 'es2022' }) as unknown as Node & {
    body: Node[]
  }
  const offset = tree.span.start
  const textOf = ({ span }: Node) => bytes.toString('utf8', span.start - offset, span.end - offset)
  const edits: { at: Node['span']; text: string }[] = []
  for (const item of tree.body) {
    for (const { init } of (item.declaration ?? item).declarations ?? []) {
      if (!init || !/^(Call|New|TaggedTemplate|Object|Array)/.test(init.type)) continue
      const text = kept?.table.test(textOf(init)) ? cutDown(init, kept, textOf) : textOf(init)
      // A function around it could not await.
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

/** @throws Error if the table is not an object of plain entries, alone or as the last argument of a call. */
function cutDown(init: Node, { names, without, fallback }: Kept, textOf: (node: Node) => string): string {
  const object = init.arguments?.at(-1)?.expression ?? init
  const found = propertiesOf(object).filter(({ name }) => names.includes(name))
  if (found.length !== names.length) throw new Error(`a table lacks one of ${names.join(', ')}`)
  const entry = (value: Node) =>
    without
      ? objectOf(
          propertiesOf(value).filter(({ name }) => !without.includes(name)),
          textOf,
        )
      : textOf(value)
  const cut = objectOf(found, entry)
  const whole = textOf(init).replace(textOf(object), () => cut)
  return fallback === undefined
    ? whole
    : `new Proxy(${whole}, { get: (all, name) => all[name] ?? all.${fallback} })`
}

interface Property {
  name: string
  value: Node
}

/** @throws Error if an object holds anything but plain properties. */
function propertiesOf({ properties = [] }: Node): Property[] {
  return properties.map(({ type, key, value }) => {
    if (type !== 'KeyValueProperty' || !key || !value) throw new Error(`a table holds a ${type}`)
    return { name: key.value, value }
  })
}

const objectOf = (properties: Property[], textOf: (node: Node) => string): string =>
  `{ ${properties.map(({ name, value }) => `${name}: ${textOf(value)}`).join(', ')} }`

// Not `import.meta.main`, which is false of a file that test/run.mjs starts.
if (process.argv[1] === import.meta.filename) await buildBundles()
