/**
 * A separate process that consumes units: `node consume-worker.ts`, with the table's environment and a `Work`
 * as JSON on standard input. The process prints an `Asked` as a line of JSON for each answered request, and
 * nothing for the requests during which it dies.
 */
import { text } from 'node:stream/consumers'
import { systemClock } from '../../core/adapters/clock.ts'
import { randomIds } from '../../core/adapters/ids.ts'
import { openKeyring } from '../../core/adapters/keyring.ts'
import { DomainError } from '../../core/errors.ts'
import type { Ports } from '../../core/ports.ts'
import { consumeUnits } from '../../core/quota/consume.ts'
import { openTable } from '../../core/table/dynamodb.ts'
import { silentLog } from '../support/log.ts'

export interface Work {
  key: string
  requestIds: string[]
  /** Requests in flight. */
  lanes: number
}

export interface Asked {
  requestId: string
  /** `200`, or the code of the error. */
  told: string
  /** Epoch milliseconds, with fractions. */
  fromMs: number
  toMs: number
}

const { TABLE_NAME = '', KEYRING = '' } = process.env
const ports = {
  clock: systemClock,
  ids: randomIds(systemClock),
  log: silentLog,
  keyring: openKeyring(KEYRING),
  table: openTable(TABLE_NAME),
} as Partial<Ports> as Ports

const nowMs = () => performance.timeOrigin + performance.now()

async function ask(key: string, requestId: string): Promise<Asked> {
  const fromMs = nowMs()
  const told = await consumeUnits(ports, key, { units: 1, requestId }).then(
    () => '200',
    (error) => (error instanceof DomainError ? error.code : String(error)),
  )
  return { requestId, told, fromMs, toMs: nowMs() }
}

const { key, requestIds, lanes }: Work = JSON.parse(await text(process.stdin))
const left = [...requestIds]
await Promise.all(
  Array.from({ length: lanes }, async () => {
    for (let id = left.shift(); id !== undefined; id = left.shift())
      process.stdout.write(`${JSON.stringify(await ask(key, id))}\n`)
  }),
)
