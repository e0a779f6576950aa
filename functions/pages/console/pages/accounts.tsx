import { useLocation, useRoute } from 'preact-iso'
import { Form } from '../../kit/form.tsx'
import { dayText, moneyText, numberText } from '../../kit/language.ts'
import { Paged } from '../../kit/paged.tsx'
import { StandingTag } from '../account/tags.tsx'
import { given } from '../action.tsx'
import { call } from '../api.ts'
import { filtersOf, isList, lists } from '../lists.ts'
import { t } from '../messages.ts'
import { Page } from '../page.tsx'
import { href } from '../paths.ts'
import { Table } from '../table.tsx'

/** Accounts by how they stand, the newest first. The address of the page is the filter. */
export default function Accounts() {
  const { route } = useLocation()
  const { query } = useRoute()
  const list = isList(query.list) ? query.list : 'all'
  const { bundle, from, to } = query
  const filters = { ...filtersOf[list], bundle: given(bundle), from: given(from), to: given(to) }
  const l = t.accounts
  return (
    <Page title={t.nav.accounts} lead={l.lead}>
      <nav aria-label={l.lists} class="chips">
        {lists.map((name) => (
          <a
            key={name}
            href={href('accounts', { list: name, bundle, from, to })}
            aria-current={name === list ? 'page' : undefined}
          >
            {t.lists[name]}
          </a>
        ))}
      </nav>
      <section class="card" aria-label={t.lists[list]}>
        <div class="filter">
          <Form
            key={JSON.stringify(query)}
            submit={l.filter}
            onSubmit={async (values) => route(href('accounts', { list, ...values }))}
            fields={[
              { name: 'bundle', label: l.bundle, value: bundle, maxlength: 50 },
              { name: 'from', label: l.from, type: 'date', value: from },
              { name: 'to', label: l.to, type: 'date', value: to },
            ]}
          />
        </div>
        <Paged
          of={[JSON.stringify(filters)]}
          empty={l.empty}
          read={async (cursor) => {
            const { accounts, next } = await call('listAccounts', { ...filters, cursor })
            return { items: accounts, cursor: next ?? undefined }
          }}
        >
          {(items) => (
            <Table
              caption={t.lists[list]}
              items={items}
              keyOf={({ id }) => id}
              columns={[
                {
                  head: l.account,
                  cell: ({ id, username, email }) => (
                    <>
                      <a href={href('account', { id })}>{username}</a>
                      <small class="under">{email}</small>
                    </>
                  ),
                },
                {
                  head: l.standing,
                  cell: ({ standing, undeliverable, owed, low }) => (
                    <span class="tags">
                      <StandingTag of={standing} />
                      {undeliverable && <span class="tag bad">{t.account.tags.undeliverable}</span>}
                      {owed && <span class="tag bad">{l.owes}</span>}
                      {low && <span class="tag warn">{t.account.tags.low}</span>}
                    </span>
                  ),
                },
                { head: l.bundle, cell: (each) => each.bundle ?? '–' },
                { head: l.left, number: true, cell: ({ left }) => numberText(left) },
                { head: l.used, number: true, cell: ({ used }) => numberText(used) },
                {
                  head: l.balance,
                  number: true,
                  cell: ({ balance, currency }) => moneyText(balance, currency),
                },
                { head: l.since, number: true, cell: ({ createdAt }) => dayText(createdAt) },
              ]}
            />
          )}
        </Paged>
      </section>
    </Page>
  )
}
