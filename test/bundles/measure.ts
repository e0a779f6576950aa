import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { PURPOSES } from '../../core/purposes.ts'
import { keysTextOf } from '../../functions/deploy/root-secret.ts'

/** An environment in the form of a deployment's. No service is called while a container starts. */
export const ENV = {
  AWS_REGION: 'eu-west-1',
  AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
  AWS_SECRET_ACCESS_KEY: 'example',
  TABLE_NAME: 'bursar',
  USER_POOL_ID: 'eu-west-1_Example01',
  USER_POOL_CLIENT_ID: 'example',
  USER_POOL_CLIENT_SECRET: 'example',
  MAIL_FROM: 'no-reply@bursar.example',
  MAIL_CONFIGURATION_SET: 'bursar',
  APP_URL: 'https://app.bursar.example',
  APP_NAME: 'Bursar',
  KMS_KEY_ID: 'example',
  KEYRING: keysTextOf('0f'.repeat(32), PURPOSES),
  RENEWAL_FUNCTION: 'example',
  EVENT_BUS: 'example',
  STAGE: 'example',
  STRIPE_SECRET_KEY: 'sk_test_example',
  STRIPE_PUBLISHABLE_KEY: 'pk_test_example',
  PAGE_SETTINGS: '{"supportEmail":"support@bursar.example"}',
  STRIPE_WEBHOOK_SECRETS: 'whsec_example',
}

const EVENT = JSON.stringify({ version: '2.0', routeKey: 'GET /health', headers: {}, rawPath: '/health' })

/** A function's CPU time until its first event. */
export interface Start {
  cpuMs: number
  /** The CPU time divided by that of the empty handler. */
  ratio: number
}

/**
 * Measures starts in new processes and returns the medians. Every round starts each module once, the empty
 * handler first, so that other load on the machine affects all modules alike.
 * @param modules absolute paths by name.
 * @param onStart called after each start with the module's name and the round.
 */
export async function measureStarts(
  modules: ReadonlyMap<string, string>,
  rounds: number,
  onStart: (name: string, round: number) => void = () => {},
): Promise<{ emptyMs: number; starts: Map<string, Start> }> {
  const folder = mkdtempSync(join(tmpdir(), 'bursar-start-'))
  const { port, close } = await openRuntimeApi()
  try {
    const empty = join(folder, 'empty.mjs')
    writeFileSync(empty, 'export const handler = async () => ({})\n')
    const samples = new Map<string, number[]>()
    for (let round = 1; round <= rounds; round++) {
      for (const [name, module] of [['', empty] as const, ...modules]) {
        const cpuMs = await startContainer(module, port)
        samples.set(name, [...(samples.get(name) ?? []), cpuMs])
        onStart(name || 'an empty handler', round)
      }
    }
    const emptyMs = median(samples.get('') ?? [])
    const starts = [...modules.keys()].map((name) => {
      const cpuMs = median(samples.get(name) ?? [])
      return [name, { cpuMs, ratio: cpuMs / emptyMs }] as const
    })
    return { emptyMs, starts: new Map(starts) }
  } finally {
    close()
    rmSync(folder, { recursive: true })
  }
}

/** Stands for the runtime API, which gives each container its first event. */
async function openRuntimeApi() {
  const server = createServer((_, response) => void response.end(EVENT))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return { port: (server.address() as AddressInfo).port, close: () => server.close() }
}

const runContainer = (module: string, port: number, flags: readonly string[] = []) => {
  const args = [...flags, join(import.meta.dirname, 'container.mjs'), module, String(port)]
  return promisify(execFile)(process.execPath, args, { env: ENV })
}

async function startContainer(module: string, port: number): Promise<number> {
  const { stdout, stderr } = await runContainer(module, port)
  if (stderr) throw new Error(`${module} wrote to stderr while it started: ${stderr}`)
  return Number(stdout)
}

/** Counts the garbage collections of a start, which do not depend on how busy the machine is. */
export async function collectionsAtStart(module: string): Promise<number> {
  const { port, close } = await openRuntimeApi()
  try {
    const { stdout } = await runContainer(module, port, ['--trace-gc'])
    return stdout.match(/Scavenge|Mark-Compact/g)?.length ?? 0
  } finally {
    close()
  }
}

function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

/** The files that each module loads before its first event. */
export async function loadedAtStart(modules: ReadonlyMap<string, string>): Promise<Map<string, string[]>> {
  const args = [join(import.meta.dirname, 'loaded.mjs'), ...modules.values()]
  const { stdout } = await promisify(execFile)(process.execPath, args, { env: ENV, maxBuffer: 2 ** 24 })
  const files = JSON.parse(stdout) as Record<string, string[]>
  return new Map(
    [...modules].map(([name, module]) => [name, (files[module] ?? []).map((url) => fileURLToPath(url))]),
  )
}
