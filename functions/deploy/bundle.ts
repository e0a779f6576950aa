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

const isEndpoint = ({ kind }: Deployed) => kind === 'endpoint'

/** The names of the adapters in `live.ts` that a function needs. Its bundle leaves out all others. */
export const adaptersOf = (fn: Deployed): string[] =>
  fn.needs.map((need) =>
    need === 'identity' && fn.lazyIdentity
      ? 'lazyIdentity'
      : (factsOf(need).adapters?.[isEndpoint(fn) ? 'endpoint' : 'background'] ?? need),
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
 */
const builtIns: Plugin = {
  name: 'built-ins',
  setup(build) {
    build.onResolve({ filter: /^[a-z_:/]+$/ }, ({ path }) =>
      isBuiltin(path) ? { path: path.replace(/^node:/, ''), namespace: 'built-in' } : undefined,
    )
    build.onLoad({ filter: /.*/, namespace: 'built-in' }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule(${JSON.stringify(path)})`,
    }))
  },
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
    splitting: !isEndpoint(fn) || fn.needs.some((need) => factsOf(need).bigClient),
    minify: true,
    // Nothing reads the name of a function or a class: errors set their `name` themselves.
    keepNames: false,
    mainFields: ['module', 'main'],
    legalComments: 'none',
    metafile: true,
    plugins: [builtIns],
    alias: { '@aws-sdk/credential-provider-node': './core/adapters/environment-credentials.ts' },
  }) satisfies BuildOptions
