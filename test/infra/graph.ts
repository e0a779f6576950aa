import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { progressOn } from '../support/progress.ts'
import { ENVIRONMENT } from './environment.ts'

export const ROOT = join(import.meta.dirname, '..', '..')
export const PLATFORM = join(ROOT, '.sst', 'platform')

/** A resource as the deployment would ask AWS for it. */
export interface Resource {
  urn: string
  type: string
  name: string
  /** False for SST's components, which are made of others. */
  custom: boolean
  // biome-ignore lint/suspicious/noExplicitAny: the shape is the resource's own
  inputs: any
  protect: boolean
  retain: boolean
  dependsOn: string[]
}

export interface Graph {
  stage: string
  resources: Resource[]
  /** What stopped it, or a part of it. */
  errors: string[]
  /** What each function is made of, by its component's name. */
  builds: Record<string, { handler: string; bundle: string; links: object }>
  /** What the deployment prints, but for what only AWS knows. */
  outputs: Record<string, unknown>
  app: { name: string; protect?: boolean; removal?: string }
}

/** A change to a source: the text that is there, once, and what is put in its place. */
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

/** Where Pulumi's and SST's packages are found from. */
const platformRequire = createRequire(join(PLATFORM, 'package.json'))

/** Bundles sst.config.ts as SST's CLI does, with SST's sources, into the platform's folder, whose packages it uses. */
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
                if (text.split(edit.from).length !== 2) throw new Error(`Not once in ${file}: ${edit.from}`)
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

/** The resources of a stage, under Pulumi's mocks. */
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
      env: { PATH, HOME, ...ENVIRONMENT, ...environment },
      stdio: ['ignore', 'inherit', 'inherit'],
    })
    const code = await new Promise((resolve) => child.on('exit', resolve))
    if (code !== 0) throw new Error(`The graph of ${stage} ended with ${code}`)
    const graph: Omit<Graph, 'stage'> = JSON.parse(readFileSync(output, 'utf8'))
    // What fails early fails everything that waits for it, in the same words.
    return { ...graph, stage, errors: [...new Set(graph.errors)] }
  } finally {
    rmSync(work, { recursive: true, force: true })
    rmSync(bundle, { force: true })
  }
}
