import { Load, useResource } from '../../kit/resource.tsx'
import { type Action, Actions } from '../action.tsx'
import alarms from '../alarms.json'
import { call } from '../api.ts'
import { EndpointTag } from '../events/endpoint.tsx'
import { t } from '../messages.ts'
import { Page } from '../page.tsx'
import { href } from '../paths.ts'
import { client } from '../session.ts'

const h = t.health

/** The many alarms of single functions come last. */
const groups = ['requests', 'work', 'data', 'mail'] as const satisfies (keyof typeof alarms)[]

const reconcile: Action<undefined> = {
  call: 'reconcile',
  ...h.reconcile,
  says: () => h.reconcile.says,
  async run(_, { reason = '' }) {
    const { payments, reversals, found, isDone } = await call('reconcile', { reason })
    return {
      text: h.reconcile.done(
        payments,
        reversals,
        found.map(({ about, text }) => `${about}: ${text}`),
        isDone,
      ),
    }
  },
}

/** What is not well, as far as the API knows; and in words what the alarms mean and what to do about each. */
export default function Health() {
  return (
    <Page title={t.nav.health} lead={h.lead}>
      <div class="tiles">
        <Now />
        <Endpoints />
        <Books />
      </div>
      <section class="card" aria-label={h.deadLetters.title}>
        <h2>{h.deadLetters.title}</h2>
        <p>{h.deadLetters.what}</p>
        <p>{h.deadLetters.where}</p>
        <ol class="steps">
          {h.deadLetters.steps.map((step) => (
            <li key={step}>{step}</li>
          ))}
        </ol>
      </section>
      <section class="card" aria-label={h.alarms}>
        <h2>{h.alarms}</h2>
        <p class="soft">{h.alarmsLead}</p>
        {groups.map((group) => (
          <div key={group} class="stack">
            <h3>{h.groups[group]}</h3>
            <Sentences of={alarms[group]} />
          </div>
        ))}
        <details>
          <summary>{h.functions(alarms.functions.length)}</summary>
          <Sentences of={alarms.functions} />
        </details>
      </section>
    </Page>
  )
}

/** What CloudWatch mails, as it stands there. */
function Sentences({ of }: { of: readonly { name: string; sentence: string }[] }) {
  return (
    <dl class="alarms" lang="en">
      {of.map(({ name, sentence }) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{sentence}</dd>
        </div>
      ))}
    </dl>
  )
}

function Now() {
  const health = useResource(() => client.service.health())
  return (
    <section class="card" aria-label={h.now}>
      <h2>{h.now}</h2>
      <Load of={health}>
        {() => (
          <p>
            <span class="tag good">{h.answers}</span>
          </p>
        )}
      </Load>
      <p class="soft">{h.nowHint}</p>
    </section>
  )
}

function Endpoints() {
  const endpoints = useResource(async () => (await call('listEventEndpoints')).endpoints)
  return (
    <section class="card" aria-label={t.nav.events}>
      <header>
        <h2>{t.nav.events}</h2>
        <a href={href('events')}>{h.toEvents}</a>
      </header>
      <Load of={endpoints} empty={{ when: (list) => list.length === 0, text: t.events.empty }}>
        {(list) => (
          <ul class="list">
            {list.map((endpoint) => (
              <li key={endpoint.id}>
                <span class="grow">{endpoint.url}</span>
                <EndpointTag of={endpoint} />
              </li>
            ))}
          </ul>
        )}
      </Load>
    </section>
  )
}

function Books() {
  return (
    <section class="card" aria-label={h.books}>
      <header>
        <h2>{h.books}</h2>
        <Actions actions={[reconcile]} of={undefined} refresh={async () => undefined} />
      </header>
      <p>{h.booksText}</p>
      <ul class="list plain">
        <li>
          <a href={href('accounts', { list: 'owing' })}>{t.lists.owing}</a>
        </li>
        <li>
          <a href={href('accounts', { list: 'undeliverable' })}>{t.lists.undeliverable}</a>
        </li>
        <li>
          <a href={href('audit', { operator: 'deliver-events' })}>{h.jobAudit}</a>
        </li>
      </ul>
    </section>
  )
}
