import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { progressOn } from '../support/progress.ts'
import { environmentFor } from './environment.ts'

export const ROOT = join(import.meta.dirname, '..', '..')
export const PLATFORM = join(ROOT, '.sst', 'platform')

/** A resource as the deployment would request it from AWS. */
export interface Resource {
  urn: string
  type: string
  name: string
  /** False for SST's components, which consist of other resources. */
  custom: boolean
  // biome-ignore lint/suspicious/noExplicitAny: the shape is the resource's own
  inputs: any
  protect: boolean
  retain: boolean
  dependsOn: string[]
}

export interface Graph {
  stage: string
  /** What the operator has set besides the usual. */
  environment: Record<string, string>
  resources: Resource[]
  /** The errors that stopped the deployment or a part of it. */
  errors: string[]
  /** The handler, bundle and links of each function, by its component's name. */
  builds: Record<string, { handler: string; bundle: string; links: object }>
  /** The outputs that the deployment prints, except values that only AWS knows. */
  outputs: Record<string, unknown>
  app: { name: string; protect?: boolean; removal?: string }
}

/** A change of a source file. The text `from` must occur exactly once; `to` replaces the text. */
export interface Edit {
  file: string
  from: string
  to: string
}

export interface Variant {
  stage: string
  edits?: readonly Edit[]
  environment?: Record<string, string>
  dev?: boolean
}

/** Resolves Pulumi's and SST's packages from the platform's folder. */
const platformRequire = createRequire(join(PLATFORM, 'package.json'))

/** Bundles sst.config.ts with SST's sources, as SST's CLI does, using the platform folder's packages. */
async function bundleConfig(outfile: string, edits: readonly Edit[]): Promise<void> {
  const esbuild = platformRequire('esbuild')
  const edited = new Set<Edit>()
  await esbuild.build({
    stdin: {
      contents: `export { run } from '${PLATFORM}/src/auto/run.ts'\nexport { default as config } from '${ROOT}/sst.config.ts'`,
      resolveDir: PLATFORM,
      sourcefile: 'eval.ts',
      loader: 'ts',
    },
    absWorkingDir: PLATFORM,
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    packages: 'external',
    keepNames: true,
    logLevel: 'silent',
    define: { $app: '$bursarApp', $cli: '$bursarCli', $dev: '$bursarDev' },
    inject: [join(PLATFORM, 'src/shim/run.js')],
    banner: {
      js: "import { createRequire as toRequire } from 'node:module'; const require = toRequire(import.meta.url)",
    },
    plugins: [
      {
        name: 'bursar-sources',
        // biome-ignore lint/suspicious/noExplicitAny: esbuild's own, of the platform's version
        setup(build: any) {
          build.onLoad(
            { filter: /\/(sst\.config|functions\/.*|core\/.*)\.ts$/ },
            ({ path }: { path: string }) => {
              const file = relative(ROOT, path)
              if (file.startsWith('.sst')) return undefined
              let text = readFileSync(path, 'utf8')
              for (const edit of edits.filter((one) => one.file === file)) {
                if (text.split(edit.from).length !== 2)
                  throw new Error(`An edit must match exactly once in ${file}: ${edit.from}`)
                text = text.replace(edit.from, () => edit.to)
                edited.add(edit)
              }
              const globals =
                file === 'sst.config.ts'
                  ? `import * as aws from '@pulumi/aws'; import * as sst from '${PLATFORM}/src/components/index.ts'; `
                  : ''
              return { contents: globals + text, loader: 'ts', resolveDir: join(path, '..') }
            },
          )
        },
      },
    ],
  })
  const missed = edits.filter((edit) => !edited.has(edit))
  if (missed.length > 0) throw new Error(`The deployment does not read ${missed.map(({ file }) => file)}`)
}

const progress = progressOn()
let graphs = 0

/** Runs the deployment of a stage with Pulumi's mocks. @returns its resources, errors and outputs. */
export async function graphOf({ stage, edits = [], environment = {}, dev = false }: Variant): Promise<Graph> {
  graphs += 1
  progress(
    `resource graph ${graphs} of this process, of the stage ${stage} with ${edits.length} planted mistakes`,
  )
  const work = mkdtempSync(join(tmpdir(), 'bursar-graph-'))
  const bundle = join(PLATFORM, `graph-${process.pid}-${work.slice(-6)}.mjs`)
  const output = join(work, 'graph.json')
  try {
    await bundleConfig(bundle, edits)
    const job = join(work, 'job.json')
    writeFileSync(job, JSON.stringify({ bundle, platform: PLATFORM, stage, root: ROOT, work, output, dev }))
    const { PATH = '', HOME = '' } = process.env
    const child = spawn(process.execPath, [join(import.meta.dirname, 'evaluate.mjs'), job], {
      env: { PATH, HOME, ...environmentFor(stage), ...environment },
      stdio: ['ignore', 'inherit', 'inherit'],
    })
    const code = await new Promise((resolve) => child.on('exit', resolve))
    if (code !== 0) throw new Error(`The graph of ${stage} ended with ${code}`)
    const graph: Omit<Graph, 'stage' | 'environment'> = JSON.parse(readFileSync(output, 'utf8'))
    // An early error also fails everything that waits for it, with the same message.
    return { ...graph, stage, environment, errors: [...new Set(graph.errors)] }
  } finally {
    rmSync(work, { recursive: true, force: true })
    rmSync(bundle, { force: true })
  }
}
