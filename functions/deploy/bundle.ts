import { isBuiltin } from 'node:module'
import type { BuildOptions, Plugin } from 'esbuild'
import { factsOf } from '../http/needs.ts'
import type { Deployed } from './functions.ts'

/** Where `npm run bundle` puts the functions. */
export const BUNDLES = '.bundles'

/**
 * Where `npm run bundle` puts a function, and its handler there: `bundle` and `handler` of an SST function, which
 * ships that folder as it is. What `npm run test:bundles` runs is therefore what is deployed.
 */
export const bundleOf = ({ name }: Deployed) => ({ bundle: `${BUNDLES}/${name}`, handler: 'index.handler' })

const isEndpoint = ({ kind }: Deployed) => kind === 'endpoint'

/** The adapters of `live.ts` that a function needs, by their names there; its bundle leaves out all others. */
export const adaptersOf = (fn: Deployed): string[] =>
  fn.needs.map((need) => factsOf(need).adapters?.[isEndpoint(fn) ? 'endpoint' : 'background'] ?? need)

/**
 * The module that Lambda loads. It is done only when the ports are open: until then the CPU is whole, and what is
 * left for the first request is slow below 1,769 MB.
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
 * Node's own modules as `require` would give them. An `import` of one reads everything that it exports, and to read
 * `WebSocket` of node:http is to load all of undici: 35 ms of CPU, more than all of our own code takes.
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
    // Stripe and KMS load with the first call that needs them, and so do parts of AWS's clients. What has none of
    // these loads quickest as one file.
    splitting: !isEndpoint(fn) || fn.needs.some((need) => factsOf(need).bigClient),
    minify: true,
    // Errors name themselves: nothing reads the name of a function or of a class.
    keepNames: false,
    mainFields: ['module', 'main'],
    legalComments: 'none',
    metafile: true,
    plugins: [builtIns],
    alias: { '@aws-sdk/credential-provider-node': './core/adapters/environment-credentials.ts' },
  }) satisfies BuildOptions
