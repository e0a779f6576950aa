import { useLocation, useRoute } from 'preact-iso'
import { Form } from '../../kit/form.tsx'
import { timeText } from '../../kit/language.ts'
import { Paged } from '../../kit/paged.tsx'
import { useResource } from '../../kit/resource.tsx'
import { given } from '../action.tsx'
import { type Answer, call, callPage } from '../api.ts'
import { useMe } from '../me.tsx'
import { t } from '../messages.ts'
import { Page } from '../page.tsx'
import { href } from '../paths.ts'
import { Table } from '../table.tsx'

type Entry = Answer<'auditOfOperator'>[number]
const u = t.audit

/** Jobs of Bursar that leave entries under a name of their own. */
const JOBS = ['deliver-events']

const factsText = (facts: Entry['before']): string =>
  Object.entries(facts ?? {})
    .map(([name, value]) => `${name} ${value}`)
    .join(', ')

/** Who has done what: of one account, or by one operator. Without either, what you have done. */
export default function Audit() {
  const { route } = useLocation()
  const { query } = useRoute()
  const me = useMe()
  const operators = useResource(async () => (await call('listOperators')).operators)
  const account = given(query.account)
  const name = given(query.operator) ?? me.name
  const day = given(query.day)
  const known = [...new Set([me.name, name, ...(operators.value ?? []).map((each) => each.name), ...JOBS])]
  return (
    <Page title={t.nav.audit} lead={u.lead}>
      <section class="card" aria-label={t.nav.audit}>
        <div class="filter">
          <Form
            key={`${JSON.stringify(query)} ${known.length}`}
            submit={u.show}
            onSubmit={async (values) =>
              route(
                href(
                  'audit',
                  given(values.account)
                    ? { account: values.account?.trim() }
                    : { operator: values.operator, day: values.day },
                ),
              )
            }
            fields={[
              {
                name: 'operator',
                label: u.operator,
                type: 'select',
                value: name,
                options: known.map((value) => ({ value, label: value === me.name ? u.you(value) : value })),
              },
              { name: 'day', label: u.day, type: 'date', value: day },
              {
                name: 'account',
                label: u.account,
                value: account,
                pattern: '[0-9a-f]{24}',
                autocomplete: 'off',
              },
            ]}
          />
        </div>
        <h2>{account ? u.ofAccount : day ? u.ofDay(name, day) : u.ofOperator(name)}</h2>
        {account && (
          <p>
            <a href={href('account', { id: account })}>{u.toAccount}</a>
          </p>
        )}
        <Paged
          of={[account, name, day]}
          empty={u.empty}
          read={async (cursor) => {
            const { value, cursor: next } = account
              ? await callPage('auditOfAccount', { id: account, cursor })
              : await callPage('auditOfOperator', { name, day, cursor })
            return { items: value, cursor: next }
          }}
        >
          {(items) => (
            <Table
              caption={t.nav.audit}
              items={items}
              keyOf={({ id }) => id}
              columns={[
                { head: t.account.purchase.at, cell: ({ at }) => timeText(at) },
                account
                  ? { head: u.who, cell: ({ by, name: who }) => (who ? `${who} (${by})` : by) }
                  : {
                      head: u.account,
                      cell: ({ accountId }) =>
                        accountId ? (
                          <a href={href('account', { id: accountId })}>
                            <code>{accountId}</code>
                          </a>
                        ) : (
                          '–'
                        ),
                    },
                {
                  head: u.what,
                  cell: ({ text, before, after }) => (
                    <span lang="en">
                      {text}
                      {(before || after) && (
                        <small class="under">
                          {factsText(before) || '–'} → {factsText(after) || '–'}
                        </small>
                      )}
                    </span>
                  ),
                },
                { head: t.action.reason, cell: ({ reason }) => reason ?? '' },
              ]}
            />
          )}
        </Paged>
      </section>
    </Page>
  )
}
