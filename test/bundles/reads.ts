import { parseSync } from '@swc/core'
import { build } from 'esbuild'
import { onlyWhatIsUsed } from '../../functions/deploy/build.ts'
import { bundleOptions } from '../../functions/deploy/bundle.ts'
import type { Deployed } from '../../functions/deploy/functions.ts'
import { needs } from '../../functions/http/needs.ts'
import type { Need } from '../../functions/http/route.ts'

const ROOT = `${import.meta.dirname}/../..`

/** What our code calls the object that holds the ports: `deps`, `moneyDeps`, `ports`, and `unpaced` in jobs. */
const HOLDER = /(?:deps|ports|unpaced)\d*$/i

/**
 * The modules that open the ports, and the one that names the source of a request where a function has what that takes: that
 * they name a port does not mean that somebody needs it.
 */
const OPENS = /^(?:functions\/http\/(?:live|source-name)\.ts|core\/adapters\/)/

/** The ports that a function needs and that nothing in its code reads. */
export async function unreadNeeds(fn: Deployed): Promise<Need[]> {
  const read = await portsRead(fn)
  return fn.needs.filter((need) => !read.has(need))
}

/**
 * The ports that the code of a function reads: as a property of `deps`, or by taking `deps` apart. The code is that of
 * its bundle, from which the build has removed whatever the function cannot reach, but readable and without packages.
 */
async function portsRead(fn: Deployed): Promise<Set<string>> {
  // esbuild writes the path of each module above its code.
  const modules = (await reachableCode(fn)).split(/^ *\/\/ (?=[\w/.-]+\.ts$)/m)
  const code = modules.filter((text) => !OPENS.test(text)).map((text) => `// ${text}`)
  const read = new Set<string>()
  visit(parseSync(code.join('\n'), { syntax: 'ecmascript', target: 'es2022' }), read)
  return read
}

/** Our own code in a function's bundle, readable and in one piece: what the function can reach, and nothing else. */
export async function reachableCode(fn: Deployed): Promise<string> {
  const { outputFiles } = await build({
    ...bundleOptions(fn, ROOT),
    plugins: [onlyWhatIsUsed(fn)],
    packages: 'external',
    splitting: false,
    minify: false,
    write: false,
    outdir: ROOT,
    logLevel: 'silent',
  })
  return outputFiles.map(({ text }) => text).join('\n')
}

/** Collects the names of the ports that are read in a syntax tree. */
function visit(node: unknown, read: Set<string>): void {
  if (typeof node !== 'object' || node === null) return
  const { type, object, property, properties } = node as Record<string, unknown>
  if (type === 'MemberExpression' && isHolder(object)) add(nameOf(property), read)
  if (type === 'ObjectPattern')
    for (const { key } of (properties ?? []) as { key: unknown }[]) add(nameOf(key), read)
  for (const child of Object.values(node)) visit(child, read)
}

const add = (name: string, read: Set<string>): void => {
  if (name in needs) read.add(name)
}

const nameOf = (node: unknown): string => (node as { value?: string } | undefined)?.value ?? ''

const isHolder = (node: unknown): boolean => HOLDER.test(nameOf(node))
