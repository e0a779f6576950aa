import { timeText } from '../../kit/language.ts'
import { Load, useResource } from '../../kit/resource.tsx'
import { type Action, Actions } from '../action.tsx'
import { call } from '../api.ts'
import {
  addEndpoint,
  type Endpoint,
  EndpointTag,
  endpointActions,
  endpointFacts,
} from '../events/endpoint.tsx'
import { t } from '../messages.ts'
import { Page } from '../page.tsx'
import { href } from '../paths.ts'

const e = t.events

/** Endpoints that get events, how they are, and what can be done about it. */
export default function Events() {
  const endpoints = useResource(async () => (await call('listEventEndpoints')).endpoints)
  const reload = async () => {
    const list = (await call('listEventEndpoints')).endpoints
    endpoints.set(list)
    return list
  }
  const adding: Action<undefined> = addEndpoint
  return (
    <Page
      title={t.nav.events}
      lead={e.lead}
      aside={<Actions actions={[adding]} of={undefined} refresh={async () => void (await reload())} />}
    >
      <Load of={endpoints} empty={{ when: (list) => list.length === 0, text: e.empty }}>
        {(list) => list.map((endpoint) => <Card key={endpoint.id} of={endpoint} reload={reload} />)}
      </Load>
    </Page>
  )
}

function Card({ of, reload }: { of: Endpoint; reload(): Promise<readonly Endpoint[]> }) {
  return (
    <section class="card" aria-label={of.url}>
      <header>
        <h2 class="address">{of.url}</h2>
        <EndpointTag of={of} />
      </header>
      <dl class="facts">
        <dt>{e.types}</dt>
        <dd>{of.types.length === 0 ? e.allTypes : of.types.join(', ')}</dd>
        <dt>{e.since}</dt>
        <dd>{timeText(of.createdAt)}</dd>
        <dt>{e.id}</dt>
        <dd>
          <code>{of.id}</code>
        </dd>
      </dl>
      <div class="verbs">
        <a class="button quiet" href={href('deliveries', { id: of.id })}>
          {e.deliveries}
        </a>
        <Actions
          actions={endpointActions(of)}
          of={of}
          about={of.url}
          factsOf={endpointFacts}
          refresh={async () => (await reload()).find(({ id }) => id === of.id)}
        />
      </div>
    </section>
  )
}
