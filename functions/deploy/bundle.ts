import { isBuiltin } from 'node:module'
import type { BuildOptions, Plugin } from 'esbuild'
import { factsOf } from '../http/needs.ts'
import type { Deployed } from './functions.ts'

/** The folder into which `npm run bundle` builds the functions. */
export const BUNDLES = '.bundles'

/**
 * The folder of a built function and its handler, as SST takes them. SST deploys the folder unchanged, so
 * `npm run test:bundles` runs exactly the code that is deployed.
 */
export const bundleOf = ({ name }: Deployed) => ({ bundle: `${BUNDLES}/${name}`, handler: 'index.handler' })

/** Whether somebody waits for the function, so that it uses our own client of the table, which starts faster. */
const isAwaited = ({ kind }: Deployed) => kind === 'endpoint' || kind === 'task'

/** The names of the adapters in `live.ts` that a function needs. Its bundle leaves out all others. */
export const adaptersOf = (fn: Deployed): string[] =>
  fn.needs.map((need) =>
    need === 'identity' && fn.lazyIdentity
      ? 'identityInProofs'
      : (factsOf(need).adapters?.[isAwaited(fn) ? 'endpoint' : 'background'] ?? need),
  )

/**
 * The source of the module that Lambda loads. The module waits until the ports are open, because Lambda gives
 * the full CPU during init. Afterwards a function with less than 1,769 MB gets only a part of a CPU.
 */
function entry({ handler, needs, kind }: Deployed): string {
  const from = `./${handler.replace(/\.handler$/, '.ts')}`
  const warms = kind === 'authorizer'
  if (needs.length === 0 && !warms) return `export { handler } from '${from}'`
  return `import { handler${warms ? ', warm' : ''} } from '${from}'
    import { ready } from './functions/http/live.ts'
    await ready(${warms ? 'warm' : ''})
    export { handler }`
}

/**
 * Loads Node's built-in modules as `require` does. An `import` reads every export, and reading `WebSocket` of
 * node:http loads all of undici: 35 ms of CPU, more than all of our own code takes.
 *
 * Our modules and Middy get constants of which esbuild keeps those that they use. Other packages get the whole
 * module, which esbuild wraps export by export: 1 ms of CPU.
 */
const builtIns: Plugin = {
  name: 'built-ins',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^[a-z_:/]+$/ }, ({ path, importer, kind }) => {
      if (!isBuiltin(path)) return undefined
      const isOurs = !importer.includes('node_modules') || importer.includes('@middy')
      const namespace = isOurs && kind === 'import-statement' ? 'built-in-constants' : 'built-in'
      return { path: path.replace(/^node:/, ''), namespace }
    })
    onLoad({ filter: /.*/, namespace: 'built-in' }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule(${JSON.stringify(path)})`,
    }))
    onLoad({ filter: /.*/, namespace: 'built-in-constants' }, ({ path }) => ({ contents: constantsOf(path) }))
  },
}

/**
 * Returns an ES module with the exports of a built-in module. Exports with a getter are left out, since the
 * getter would load more code; importing one of them fails the build.
 */
function constantsOf(path: string): string {
  const module = process.getBuiltinModule(path) as object
  const properties = Object.entries(Object.getOwnPropertyDescriptors(module))
  const names = properties.flatMap(([name, { get }]) => (get || name === 'default' ? [] : [name]))
  return [
    `const all = process.getBuiltinModule(${JSON.stringify(path)})`,
    'export default all',
    ...names.map((name) => `export const ${name} = /* @__PURE__ */ (() => all.${name})()`),
  ].join('\n')
}

/** esbuild's options for one function; `root` is the project's folder. */
export const bundleOptions = (fn: Deployed, root: string) =>
  ({
    absWorkingDir: root,
    stdin: { contents: entry(fn), resolveDir: root, sourcefile: 'index.ts', loader: 'ts' },
    entryNames: 'index',
    outExtension: { '.js': '.mjs' },
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    // Stripe, KMS and parts of AWS's clients load from files of their own with the first call that needs
    // them. A function without any of them loads fastest as one file.
    splitting: fn.kind !== 'endpoint' || fn.needs.some((need) => factsOf(need).bigClient),
    minify: true,
    // Nothing reads the name of a function or a class: errors set their `name` themselves.
    keepNames: false,
    mainFields: ['module', 'main'],
    legalComments: 'none',
    metafile: true,
    plugins: [builtIns],
    alias: { '@aws-sdk/credential-provider-node': './core/adapters/environment-credentials.ts' },
  }) satisfies BuildOptions
