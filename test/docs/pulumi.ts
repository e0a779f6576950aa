/**
 * A stand-in for the program `pulumi`, as SST's CLI calls it: it runs the deployment's program, which the CLI has bundled,
 * against the mocks of `test/infra`, and writes the state and the events that the CLI reads. It asks AWS for nothing.
 */
import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Graph } from '../infra/graph.ts'

const words = process.argv.slice(2)
const option = (name: string): string => words[words.indexOf(name) + 1] ?? ''

/** Writes the state of a stack to where Pulumi keeps it. */
function writeState(stack: string, outputs?: object): void {
  const [, app = '', stage = ''] = stack.split('/')
  const urn = `urn:pulumi:${stage}::${app}::pulumi:pulumi:Stack::${app}-${stage}`
  const file = join(
    new URL(process.env.PULUMI_BACKEND_URL ?? '').pathname,
    '.pulumi',
    'stacks',
    app,
    `${stage}.json`,
  )
  mkdirSync(dirname(file), { recursive: true })
  const latest = {
    manifest: { time: new Date(0).toISOString(), magic: '', version: '' },
    resources: outputs ? [{ urn, custom: false, type: 'pulumi:pulumi:Stack', outputs }] : [],
  }
  writeFileSync(file, JSON.stringify({ version: 3, checkpoint: { stack, latest } }))
}

function fileUpwards(name: string, from = process.cwd()): string {
  if (existsSync(join(from, name))) return join(from, name)
  if (dirname(from) === from) throw new Error(`There is no ${name} here.`)
  return fileUpwards(name, dirname(from))
}

/** @returns the resources that the program asks for. */
function runProgram(stage: string): Graph {
  const [, bundle = ''] = /^main: (.+)$/m.exec(readFileSync(fileUpwards('Pulumi.yaml'), 'utf8')) ?? []
  const platform = dirname(bundle)
  const work = mkdtempSync(join(tmpdir(), 'bursar-pulumi-'))
  try {
    const [job, output] = [join(work, 'job.json'), join(work, 'graph.json')]
    const root = join(platform, '..', '..')
    writeFileSync(job, JSON.stringify({ bundle, platform, stage, root, work, output, bySst: true }))
    execFileSync(process.execPath, [join(import.meta.dirname, '../infra/evaluate.mjs'), job], {
      env: { ...process.env, NODE_OPTIONS: '' },
      stdio: 'inherit',
    })
    return JSON.parse(readFileSync(output, 'utf8'))
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

function update(): void {
  const stack = option('--stack')
  const tell = (event: object) =>
    appendFileSync(option('--event-log'), `${JSON.stringify({ sequence: 0, timestamp: 0, ...event })}\n`)
  const { resources, errors, outputs } = runProgram(stack.split('/')[2] ?? '')
  for (const message of new Set(errors))
    tell({ diagnosticEvent: { severity: 'error', message, color: 'never' } })
  if (errors.length > 0) process.exit(1)
  if (words[0] === 'up') {
    writeState(stack, outputs)
    writeFileSync(process.env.BURSAR_GRAPH ?? '', JSON.stringify(resources))
  }
  const created = resources.filter(({ custom }) => custom).length
  tell({
    summaryEvent: {
      maybeCorrupt: false,
      durationSeconds: 0,
      resourceChanges: { create: created },
      PolicyPacks: {},
    },
  })
}

if (words[0] === 'version') console.log('v3.210.0')
else if (words[0] === 'stack' && words[1] === 'init') writeState(words[2] ?? '')
else if (words[0] === 'up' || words[0] === 'preview') update()
else throw new Error(`The stand-in for pulumi does not know: ${words.join(' ')}`)
