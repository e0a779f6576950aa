import { Scroll } from '../../../functions/pages/kit/scroll.tsx'
import '../../../functions/pages/kit/style.css'
import './studio.css'
import { render } from 'preact'
import { useEffect, useState } from 'preact/hooks'

/** The studio: everything of the local stack that a person wants to see or move, on one page. */

interface State {
  now: number
  mails: { to: string; subject: string; text: string; sentAt: string }[]
  jobs: { name: string; summary: string }[]
  switches: { name: string; on: boolean }[]
  stripe?: {
    customers: number
    paymentMethods: number
    payments: { id: string; amount: number; currency: string; status: string; description: string | null }[]
    refunds: { id: string; amount: number; status: string }[]
    disputes: { id: string; amount: number; status: string }[]
    undelivered: number
  }
  events: { id: string; 'detail-type': string; time: string; detail: unknown }[]
  counts: { calls: Record<string, number>; readUnits: number; writeUnits: number }
  calls: Record<string, Record<string, number>>
}

const HOUR_MS = 3_600_000
const POLL_MS = 1_500

async function control<T>(method: string, path: string, body?: object): Promise<T> {
  const answer = await fetch(`/_local/${path}`, { method, ...(body && { body: JSON.stringify(body) }) })
  const text = await answer.text()
  const value = text === '' ? undefined : JSON.parse(text)
  if (!answer.ok) throw new Error(value.message)
  return value
}

const PLACES = [
  { href: '/overview', name: 'Account portal', text: 'What your customers see' },
  { href: '/console', name: 'Operator’s console', text: 'What your support sees' },
  { href: '/docs', name: 'API reference', text: 'Every endpoint and error' },
  { href: '/_local/reference', name: 'Try the API', text: 'Requests to this stack' },
]

function Studio() {
  const [state, setState] = useState<State>()
  const [said, setSaid] = useState('')
  const load = () =>
    control<State>('GET', 'studio').then(setState, () =>
      setSaid('The local stack does not answer. Start it again: npm run dev'),
    )
  useEffect(() => {
    load()
    const timer = setInterval(load, POLL_MS)
    return () => clearInterval(timer)
  }, [])
  const act = (text: string, run: () => Promise<unknown>) => async () => {
    try {
      await run()
      setSaid(text)
    } catch (error) {
      setSaid((error as Error).message)
    }
    await load()
  }
  return (
    <>
      <header class="bar">
        <span class="name">
          <span class="mark" aria-hidden="true">
            B
          </span>
          Bursar on this machine
        </span>
      </header>
      <main id="main" class="studio">
        <h1 class="hidden">Bursar on this machine</h1>
        <nav class="tiles" aria-label="Pages">
          {PLACES.map(({ href, name, text }) => (
            <a key={href} class="card place" href={href}>
              <b>{name}</b>
              <small>{text}</small>
            </a>
          ))}
        </nav>
        <p role="status" class={said ? 'notice' : 'hidden'}>
          {said}
        </p>
        {state ? <Panels state={state} act={act} /> : <p class="loading">Loading…</p>}
      </main>
    </>
  )
}

type Act = (text: string, run: () => Promise<unknown>) => () => Promise<void>

function Panels({ state, act }: { state: State; act: Act }) {
  return (
    <div class="panels">
      <Mailbox mails={state.mails} />
      <Clock now={state.now} act={act} />
      {state.stripe && <Stripe of={state.stripe} act={act} />}
      <section class="card">
        <h2>Outages</h2>
        <p class="soft">Switch one on, then use the pages. Nothing may be lost or charged twice.</p>
        {state.switches.map(({ name, on }) => (
          <label key={name} class="switch">
            <input
              type="checkbox"
              role="switch"
              aria-checked={on}
              checked={on}
              onChange={act(on ? `Off: ${name}` : `On: ${name}`, () =>
                control('POST', 'studio/switch', { name, on: !on }),
              )}
            />
            {name}
          </label>
        ))}
      </section>
      <section class="card">
        <h2>Jobs</h2>
        <p class="soft">They run by themselves. Run one at once:</p>
        <ul class="list">
          {state.jobs.map(({ name, summary }) => (
            <li key={name}>
              <span class="grow">
                <code>{name}</code>
                <small>{summary}</small>
              </span>
              <button
                type="button"
                class="quiet"
                aria-label={`Run ${name}`}
                onClick={act(`${name} has run.`, () => control('POST', `jobs/${name}`))}
              >
                Run
              </button>
            </li>
          ))}
        </ul>
      </section>
      <Counts state={state} act={act} />
      <section class="card">
        <h2>Events</h2>
        <Empty
          when={state.events.length === 0}
          text="No event yet. Register an account and confirm its address."
        />
        <ul class="list">
          {state.events.map((event) => (
            <li key={event.id}>
              <details class="grow">
                <summary>
                  <code>{event['detail-type']}</code>{' '}
                  <small>{new Date(event.time).toLocaleTimeString()}</small>
                </summary>
                <pre>{JSON.stringify(event.detail, null, 2)}</pre>
              </details>
            </li>
          ))}
        </ul>
      </section>
    </div>
  )
}

const Empty = ({ when, text }: { when: boolean; text: string }) => (when ? <p class="empty">{text}</p> : null)

function Mailbox({ mails }: { mails: State['mails'] }) {
  return (
    <section class="card">
      <h2>Mailbox</h2>
      <Empty
        when={mails.length === 0}
        text="No mail yet. Every mail that Bursar sends arrives here and goes nowhere else."
      />
      <ul class="list">
        {mails.map(({ to, subject, text, sentAt }, at) => (
          <li key={`${sentAt} ${to} ${subject}`}>
            <details class="grow" open={at === 0}>
              <summary>
                <b>{subject}</b> <small>to {to}</small>
              </summary>
              <pre>{linked(text)}</pre>
            </details>
          </li>
        ))}
      </ul>
    </section>
  )
}

/** A text whose addresses are links and whose codes can be selected with a click. */
const linked = (text: string) =>
  text.split(/(https?:\/\/[^\s<>"]+|\b[0-9a-f]{32}\b)/).map((part, at) => {
    if (/^https?:/.test(part))
      return (
        <a key={at} href={part}>
          {part}
        </a>
      )
    return /^[0-9a-f]{32}$/.test(part) ? (
      <code key={at} class="code">
        {part}
      </code>
    ) : (
      part
    )
  })

function Clock({ now, act }: { now: number; act: Act }) {
  const forward = (ms: number) => () => control('POST', 'clock', { advanceMs: ms })
  return (
    <section class="card">
      <h2>Clock</h2>
      <p class="big">
        {new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' }).format(now)}
      </p>
      <div class="actions">
        <button type="button" class="quiet" onClick={act('An hour later.', forward(HOUR_MS))}>
          +1 hour
        </button>
        <button type="button" class="quiet" onClick={act('A day later.', forward(24 * HOUR_MS))}>
          +1 day
        </button>
        <button
          type="button"
          class="quiet"
          onClick={act('The next renewal is due.', () => control('POST', 'clock/next-renewal'))}
        >
          To the next renewal
        </button>
      </div>
    </section>
  )
}

const money = (amount: number, currency: string) =>
  new Intl.NumberFormat(undefined, { style: 'currency', currency }).format(amount / 100)

function Stripe({ of, act }: { of: NonNullable<State['stripe']>; act: Act }) {
  const answer = (paymentIntent: string, outcome: 'succeed' | 'fail') => () =>
    control('POST', 'stripe/authenticate', { paymentIntent, outcome })
  return (
    <section class="card">
      <h2>Stripe’s double</h2>
      <p class="soft">
        {of.customers} customers, {of.paymentMethods} cards, {of.refunds.length} refunds, {of.disputes.length}{' '}
        disputes, {of.undelivered} events on their way
      </p>
      <Empty
        when={of.payments.length === 0}
        text="No payment yet. Add a card in the account portal: 4242 4242 4242 4242."
      />
      <ul class="list">
        {of.payments.map(({ id, amount, currency, status, description }) => (
          <li key={id}>
            <span class="grow">
              {money(amount, currency)} <code>{id}</code>
              <small>{description}</small>
            </span>
            <span
              class={status === 'succeeded' ? 'tag good' : status === 'requires_action' ? 'tag warn' : 'tag'}
            >
              {status}
            </span>
            {status === 'requires_action' && (
              <>
                <button type="button" onClick={act('The holder approved.', answer(id, 'succeed'))}>
                  Approve
                </button>
                <button type="button" class="quiet" onClick={act('The holder refused.', answer(id, 'fail'))}>
                  Refuse
                </button>
              </>
            )}
          </li>
        ))}
      </ul>
    </section>
  )
}

function Counts({ state: { counts, calls }, act }: { state: State; act: Act }) {
  const rows = [
    ...Object.entries(counts.calls).map(([name, count]) => [`DynamoDB ${name}`, count] as const),
    ...Object.entries(calls).flatMap(([service, of]) =>
      Object.entries(of).map(([name, count]) => [`${service} ${name}`, count] as const),
    ),
  ]
  return (
    <section class="card">
      <header>
        <h2>Calls and units</h2>
        <button
          type="button"
          class="quiet"
          onClick={act('Counted from now on.', () => control('DELETE', 'calls'))}
        >
          Count afresh
        </button>
      </header>
      <p class="big">
        {counts.readUnits} <small>read units,</small> {counts.writeUnits} <small>write units</small>
      </p>
      <Scroll label="Calls">
        <table>
          <thead>
            <tr>
              <th scope="col">Call</th>
              <th scope="col" class="number">
                Count
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.map(([name, count]) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td class="number">{count}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
    </section>
  )
}

const root = document.getElementById('app')
if (root) render(<Studio />, root)
