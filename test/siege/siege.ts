/**
 * `npm run siege`: ten attacks at once on the local stack for two minutes, beside fifty honest customers, who must notice
 * nothing. Prints what both sides saw, and exits non-zero if a customer was refused, got no answer, or had to wait.
 * `-- --seconds 20` makes it shorter.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { attack, attacks } from './attacks.ts'
import { type Honest, live } from './customers.ts'
import { type Account, newAccount, openWorld, type World } from './world.ts'

const CUSTOMERS = 50
const WARM_SECONDS = 20
const CALM_SECONDS = 30
/** A mail that a customer asks for arrives within this. */
const MAIL_SECONDS = 60
/** The 95th percentile of an action may take so many times as long as in calm times. */
const MOST_TIMES = 3

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '120' } } })
const seconds = Number(values.seconds)
if (!Number.isInteger(seconds) || seconds < 1) {
  console.error('--seconds must be a whole number of seconds, such as 20.')
  process.exit(1)
}

const progress = (text: string) => console.log(`${new Date().toISOString().slice(11, 19)}  ${text}`)

async function phase(
  world: World,
  customers: readonly Account[],
  forSeconds: number,
  seed: number,
): Promise<Honest> {
  const into: Honest = { seen: [], mailSeconds: [], errors: [] }
  const untilMs = performance.now() + forSeconds * 1000
  const ticking = setInterval(() => {
    const left = Math.max(0, Math.round((untilMs - performance.now()) / 1000))
    progress(`${into.seen.length} requests of customers, ${left} s left`)
  }, 15_000)
  await Promise.all(customers.map((customer, at) => live(world, customer, into, seed + at, untilMs)))
  clearInterval(ticking)
  return into
}

const percentile = (of: readonly number[], share: number): number =>
  [...of].sort((a, b) => a - b)[Math.floor(of.length * share)] ?? Number.NaN

const actionsIn = ({ seen }: Honest) => [...new Set(seen.map(({ action }) => action))].sort()
const timesOf = ({ seen }: Honest, action: string) =>
  seen.filter((each) => each.action === action).map(({ ms }) => ms)

/** Prints what customers saw. @returns what they must not have seen, in sentences */
function report(calm: Honest, siege: Honest): string[] {
  const wrong = [...siege.errors]
  const p95 = (honest: Honest, action: string) => percentile(timesOf(honest, action), 0.95)
  console.log('\nWhat customers saw                calm p95   siege p95   times   requests   429   5xx')
  for (const action of actionsIn(siege)) {
    const [before, during] = [p95(calm, action), p95(siege, action)]
    const statuses = siege.seen.filter((each) => each.action === action).map(({ status }) => status)
    const refused = statuses.filter((status) => status === 429).length
    const failed = statuses.filter((status) => status >= 500).length
    const cells = [
      `${before.toFixed(0)} ms`.padStart(8),
      `${during.toFixed(0)} ms`.padStart(9),
      (during / before).toFixed(1).padStart(5),
      String(statuses.length).padStart(8),
      String(refused).padStart(3),
      String(failed).padStart(3),
    ]
    console.log(`  ${action.padEnd(28)}  ${cells.join('   ')}`)
    if (refused > 0) wrong.push(`${refused} times "${action}" was answered 429`)
    if (failed > 0) wrong.push(`${failed} times "${action}" was answered 5xx`)
    if (during > MOST_TIMES * before)
      wrong.push(`"${action}" took ${(during / before).toFixed(1)} times as long as in calm times`)
  }
  const slowest = Math.max(0, ...siege.mailSeconds)
  console.log(
    `  mails that were asked for     ${siege.mailSeconds.length}, the slowest after ${slowest.toFixed(1)} s`,
  )
  if (slowest > MAIL_SECONDS) wrong.push(`a mail took ${slowest.toFixed(0)} s`)
  return wrong
}

/** @throws Error if the stack ends before it has started */
const urlOf = (stack: ChildProcess): Promise<string> =>
  new Promise((resolve, reject) => {
    stack.once('message', (url) => resolve(String(url)))
    stack.once('exit', () => reject(new Error('The local stack has ended. What it printed says why.')))
  })

async function main(): Promise<void> {
  progress('The local stack starts.')
  const stack = fork(join(import.meta.dirname, 'stack.ts'), { execArgv: process.execArgv })
  const world = openWorld(await urlOf(stack))
  try {
    progress(`${CUSTOMERS} customers register.`)
    const customers: Account[] = []
    for (let n = 0; n < CUSTOMERS; n++)
      customers.push(await newAccount(world, `customer${n}`, `198.51.100.${n + 1}`))
    progress(
      `They go about their business in peace, ${WARM_SECONDS} s for the stack to get warm and ${CALM_SECONDS} s to compare.`,
    )
    await phase(world, customers, WARM_SECONDS, 500)
    const calm = await phase(world, customers, CALM_SECONDS, 1)
    progress('The attackers get ready.')
    const own = new Map<string, Account[]>()
    for (const each of attacks) own.set(each.name, (await each.prepare?.(world)) ?? [])
    progress(`${attacks.length} attacks begin, for ${seconds} s.`)
    const untilMs = performance.now() + seconds * 1000
    const [siege, ...seen] = await Promise.all([
      phase(world, customers, seconds, 1_000),
      ...attacks.map((each) => attack(world, each, own.get(each.name) ?? [], customers, untilMs)),
    ])
    const wrong = report(calm, siege)
    console.log('\nWhat attackers got')
    attacks.forEach(({ name }, at) => {
      const statuses = [...(seen[at] ?? [])].sort().map(([status, count]) => `${status}: ${count}`)
      console.log(`  ${name.padEnd(62)} ${statuses.join('  ')}`)
    })
    const filled = (
      await Promise.all(Array.from({ length: 200 }, (_, n) => world.mails(`victim+${n}@mail.example`)))
    ).flat()
    console.log(`  mails to the mailbox that was to be filled: ${filled.length}`)
    if (filled.length > 6) wrong.push(`one mailbox got ${filled.length} mails`)
    if (wrong.length > 0) {
      console.log(`\nThe siege was felt:\n${wrong.map((each) => `  ${each}`).join('\n')}`)
      console.log(
        'Run it again on an idle machine; if it is felt again, the limit of that attack or its cost is to blame.',
      )
      process.exitCode = 1
    } else console.log('\nNo customer noticed.')
  } finally {
    stack.disconnect()
  }
}

await main()
