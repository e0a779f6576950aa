/**
 * `npm run bench:meter [-- SECONDS]`: spends one unit at a time, exactly, by Bursar and by what else one could take, side
 * by side on this machine, and says which goals are met. Every contender's books are compared with what it has served.
 */
import { execFileSync } from 'node:child_process'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { buildBundles } from '../../functions/deploy/build.ts'
import { bundleOf } from '../../functions/deploy/bundle.ts'
import { functions } from '../../functions/deploy/functions.ts'
import { progressOn } from '../support/progress.ts'
import { type Bursar, bursar, reservations, startBursar } from './bursar.ts'
import { type Contender, load, type Result } from './load.ts'
import { startPostgres } from './postgres.ts'
import { betterAuth, byHand, installRivals } from './rivals.ts'

const seconds = Number(process.argv[2] ?? 3)
const ACCOUNTS = 64
const IN_FLIGHT = [1, 16, 64]

const progress = progressOn()

async function measure(
  contender: Contender,
  inFlight: number,
  accounts: number,
  ms = seconds * 1000,
): Promise<Result> {
  progress(`${contender.name}: ${inFlight} in flight on ${accounts} account${accounts > 1 ? 's' : ''}`)
  // The first run opens connections and warms the code.
  await load(contender, { inFlight, accounts, ms: ms / 4 })
  return load(contender, { inFlight, accounts, ms })
}

const cells = (name: string, ...rest: (string | number)[]) =>
  console.log([name.padEnd(34), ...rest.map((cell) => String(cell).padStart(11))].join(' '))

const ms = (value: number) => (value < 1 ? value.toFixed(4) : value.toFixed(1))

/** @returns the spends a second of each, by accounts and spends in flight */
async function compare(contenders: readonly Contender[]) {
  const exact = new Map<string, number>()
  for (const accounts of [1, ACCOUNTS]) {
    for (const inFlight of IN_FLIGHT) {
      const at = `${accounts} ${inFlight}`
      const results: [Contender, Result][] = []
      for (const contender of contenders)
        results.push([contender, await measure(contender, inFlight, accounts)])
      progress('')
      const first = results[0]?.[1].perSecond ?? Number.NaN
      exact.set(at, first)
      console.log(`\n${inFlight} in flight, ${accounts === 1 ? 'one hot account' : `${accounts} accounts`}`)
      cells('', 'spends/s', 'ratio', 'p50 ms', 'p99 ms', 'write units')
      for (const [{ name }, { perSecond, p50, p99, writeUnitsPerSpend }] of results)
        cells(
          name,
          Math.round(perSecond),
          (perSecond / first).toFixed(2),
          ms(p50),
          ms(p99),
          writeUnitsPerSpend?.toFixed(4) ?? '',
        )
    }
  }
}

/** CPU of the deployed function for one spend, and of a bare request to the table, in microseconds. */
async function handlerCpu({ env, keys }: Bursar): Promise<{ handler: number; ask: number }> {
  progress('the CPU of a warm handler')
  const fn = functions.find(({ name }) => name === 'v1-consume')
  if (!fn) throw new Error('there is no function v1-consume')
  await buildBundles([fn])
  const module = pathToFileURL(resolve(bundleOf(fn).bundle, 'index.mjs')).href
  const handler = join(import.meta.dirname, 'handler.ts')
  const said = execFileSync(process.execPath, [handler, module, keys[1] ?? ''], {
    env: { ...process.env, ...env },
  })
  progress('')
  return JSON.parse(String(said))
}

interface Goal {
  what: string
  value: number
  limit: number
  /** Whether less is better. */
  below: boolean
  unit: string
}

function tell({ what, value, limit, below, unit }: Goal): void {
  const isMet = below ? value <= limit : value >= limit
  const times = below ? value / limit : limit / value
  const shown = (n: number) =>
    n >= 1000 ? Math.round(n).toLocaleString('en') : String(Number(n.toPrecision(3)))
  console.log(
    `${isMet ? 'met   ' : 'MISSED'} ${what}: ${shown(value)} ${unit}, goal ${below ? '<=' : '>='} ${shown(limit)}` +
      (isMet ? '' : `, missed by a factor of ${times.toFixed(2)}`),
  )
}

const stack = await startBursar(ACCOUNTS, progress)
const postgres = await startPostgres()
const contenders: Contender[] = [bursar(stack, 'exact'), bursar(stack, 'leased')]
try {
  const rival = installRivals(console.error)
  contenders.push(await betterAuth(rival, ACCOUNTS))
  if (postgres)
    contenders.push(await betterAuth(rival, ACCOUNTS, postgres), await byHand(rival, ACCOUNTS, postgres))
  else console.error('Postgres is not installed, so it is left out. On Debian: apt install postgresql')
  await compare(contenders)

  const exact = await measure(bursar(stack, 'exact'), 8, 1)
  const leased = await measure(bursar(stack, 'leased'), 1, 1)
  const both = await measure(reservations(stack), 1, 1)
  const cpu = await handlerCpu(stack)
  progress('')
  console.log('\nGoals')
  const below = true
  tell({
    what: 'exact, 8 in flight',
    value: exact.writeUnitsPerSpend ?? Number.NaN,
    limit: 1.05,
    below,
    unit: 'write units a spend',
  })
  tell({ what: 'handler of a spend, warm', value: cpu.handler, limit: 220, below, unit: 'µs of CPU' })
  console.log(
    `       (of this, ${Math.round(cpu.ask)} µs are what one request to the table takes by Node alone)`,
  )
  tell({
    what: 'leased, one process',
    value: leased.perSecond,
    limit: 1_000_000,
    below: false,
    unit: 'spends/s',
  })
  tell({
    what: 'leased, one account, counted',
    value: leased.perSecond,
    limit: 50_000,
    below: false,
    unit: 'spends/s',
  })
  tell({ what: 'leased, p99', value: leased.p99 * 1000, limit: 20, below, unit: 'µs' })
  tell({
    what: 'leased',
    value: leased.writeUnitsPerSpend ?? Number.NaN,
    limit: 0.001,
    below,
    unit: 'write units a spend',
  })
  tell({
    what: 'reserve and settle',
    value: both.writeUnitsPerSpend ?? Number.NaN,
    limit: 2.1,
    below,
    unit: 'write units',
  })
} finally {
  for (const contender of contenders) await contender.close()
  stack.stop()
  await postgres?.stop()
}
