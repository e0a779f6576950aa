import { useRoute } from 'preact-iso'
import { ActionButton } from '../../kit/form.tsx'
import { numberText, timeText } from '../../kit/language.ts'
import { Paged } from '../../kit/paged.tsx'
import { Actions, type Fact } from '../action.tsx'
import { callPage } from '../api.ts'
import { type Delivery, replayOne } from '../events/endpoint.tsx'
import { t } from '../messages.ts'
import { Page } from '../page.tsx'
import { href } from '../paths.ts'
import { Table } from '../table.tsx'

const d = t.deliveries

const factsOf = ({ state, tries }: Delivery): Fact[] => [
  [d.state, d.states[state]],
  [d.tries, numberText(tries)],
]

/** What was sent to one endpoint and what came of it. */
export default function Deliveries() {
  const { id = '' } = useRoute().query
  const read = async (cursor?: string) => {
    const { value, cursor: next } = await callPage('listDeliveries', { id, cursor })
    return { items: value, cursor: next }
  }
  return (
    <Page title={t.events.deliveries} lead={d.lead}>
      <p>
        <a href={href('events')}>{d.back}</a>
      </p>
      <Paged of={[id]} empty={d.empty} read={read}>
        {(items, reload) => (
          <section class="card" aria-label={t.events.deliveries}>
            <header>
              <h2>{d.all}</h2>
              <ActionButton run={reload}>{d.reload}</ActionButton>
            </header>
            <Table
              caption={t.events.deliveries}
              items={items}
              keyOf={({ eventId }) => eventId}
              columns={[
                { head: d.happened, cell: ({ happenedAt }) => timeText(happenedAt) },
                {
                  head: d.event,
                  cell: ({ type, eventId }) => (
                    <>
                      {type}
                      <small class="under">
                        <code>{eventId}</code>
                      </small>
                    </>
                  ),
                },
                {
                  head: d.state,
                  cell: ({ state }) => <span class={`tag ${d.looks[state]}`}>{d.states[state]}</span>,
                },
                { head: d.tries, number: true, cell: ({ tries }) => numberText(tries) },
                {
                  head: d.result,
                  cell: ({ result, lastTriedAt }) =>
                    `${result ?? '–'}${lastTriedAt ? `, ${timeText(lastTriedAt)}` : ''}`,
                },
                {
                  head: t.account.purchase.act,
                  cell: (delivery) => (
                    <Actions
                      actions={[replayOne(id)]}
                      of={delivery}
                      about={`${delivery.type}, ${timeText(delivery.happenedAt)}`}
                      factsOf={factsOf}
                      refresh={async () =>
                        (await reload()).find(({ eventId }) => eventId === delivery.eventId)
                      }
                    />
                  ),
                },
              ]}
            />
          </section>
        )}
      </Paged>
    </Page>
  )
}
