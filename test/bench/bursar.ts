import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { expr } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import { openWireTable } from '../../core/table/wire.ts'
import { meter } from '../../functions/client/meter.ts'
import type { Contender } from './load.ts'

/** A local stack with accounts that have units. */
export interface Bursar {
  url: string
  env: Record<string, string>
  /** The default application key of each account. */
  keys: string[]
  /** Write units of DynamoDB so far. */
  writeUnits(): Promise<number>
  /** Units used in all accounts. */
  counted(): Promise<number>
  stop(): void
}

const EACH = 1_000_000_000

export async function startBursar(accounts: number, tell: (line: string) => void): Promise<Bursar> {
  const child: ChildProcess = fork(join(import.meta.dirname, 'server.ts'), {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const [{ url, env }] = (await once(child, 'message')) as [{ url: string; env: Record<string, string> }]
  const send = async (method: string, path: string, body?: object, token?: string) => {
    const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) }
    const response = await fetch(url + path, { method, headers, ...(body && { body: JSON.stringify(body) }) })
    if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}`)
    // biome-ignore lint/suspicious/noExplicitAny: answers of every kind
    return response.json() as Promise<any>
  }
  const table = openWireTable({
    tableName: env.TABLE_NAME ?? '',
    region: env.AWS_REGION ?? '',
    endpoint: env.AWS_ENDPOINT_URL_DYNAMODB,
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
  })
  const made: { id: string; key: string }[] = []
  for (let n = 0; n < accounts; n++) {
    tell(`account ${n + 1} of ${accounts}`)
    const email = `bench${n}@mail.example`
    await send('POST', '/rest/users', { username: `bench${n}`, email, password: 'Hello123!' })
    const [mail] = await send('GET', `/_local/mail?to=${email}`)
    await send('POST', '/v1/auth/activate', { code: mail.text.match(/[0-9a-f]{32}/)[0] })
    const { accessToken } = await send('POST', '/v1/auth/login', { email, password: 'Hello123!' })
    const user = await send('GET', '/v1/user', undefined, accessToken)
    await table.update(keys.quota(user.id), expr`SET #l = ${EACH}`)
    made.push({ id: user.id, key: user.apiKey })
  }
  return {
    url,
    env,
    keys: made.map(({ key }) => key),
    writeUnits: async () => (await send('GET', '/_local/calls')).dynamodb.writeUnits,
    counted: async () => {
      const counters = await Promise.all(made.map(({ id }) => table.get(keys.quota(id))))
      return counters.reduce((sum, counter) => sum + Number(counter?.u), 0)
    },
    stop: () => void child.kill(),
  }
}

/** The meter in a mode. Before the books are read it is closed, so that all that it knows is told. */
export function bursar(stack: Bursar, mode: 'exact' | 'leased'): Contender {
  const open = () =>
    meter({ url: stack.url, mode, timeoutMs: 20_000, hedgeAfterMs: 10_000, openTelemetry: false })
  let units = open()
  return {
    name: `Bursar, ${mode}`,
    spend(account) {
      const decision = units.spend({ key: stack.keys[account] ?? '', units: 1 })
      return decision instanceof Promise ? decision.then(({ allowed }) => allowed) : decision.allowed
    },
    writeUnits: stack.writeUnits,
    async counted() {
      await units.close()
      units = open()
      return stack.counted()
    },
    close: () => units.close(),
  }
}

/** Reserves and settles with ids of its own on both. */
export function reservations(stack: Bursar): Contender {
  const units = meter({ url: stack.url, timeoutMs: 20_000, hedgeAfterMs: 10_000, openTelemetry: false })
  return {
    name: 'Bursar, reserve and settle',
    async spend(account) {
      const reserved = await units.reserve({ key: stack.keys[account] ?? '', units: 2 })
      if (!reserved.allowed) return false
      return (await reserved.settle(1)).covered === 1
    },
    writeUnits: stack.writeUnits,
    counted: stack.counted,
    close: () => units.close(),
  }
}
