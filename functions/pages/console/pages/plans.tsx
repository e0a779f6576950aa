import { BursarError } from 'bursar/client'
import { useState } from 'preact/hooks'
import { useRoute } from 'preact-iso'
import { Form } from '../../kit/form.tsx'
import { numberText, timeText } from '../../kit/language.ts'
import { Paged } from '../../kit/paged.tsx'
import { hasCode } from '../../kit/problem.ts'
import { Load, useResource } from '../../kit/resource.tsx'
import { type Action, ActionDialog } from '../action.tsx'
import { type Answer, call, callPage, type Input } from '../api.ts'
import { useMay } from '../me.tsx'
import { t } from '../messages.ts'
import { moneyByCurrency } from '../money.ts'
import { Page } from '../page.tsx'
import { href } from '../paths.ts'
import { Table } from '../table.tsx'

type Shown = Answer<'showPlans'>
type Catalogue = Input<'comparePlans'>['catalogue']
type Compared = Answer<'comparePlans'>

/** Plans that were compared and may be applied. */
interface Draft {
  catalogue: Catalogue
  compared: Compared
}

const p = t.plans
const shown = (value: unknown): string =>
  value === undefined ? '–' : typeof value === 'string' ? value : JSON.stringify(value)

export default function Plans() {
  const { version } = useRoute().query
  const plans = useResource(() => call('showPlans', version ? { version } : {}), [version])
  // Here, because the editor begins anew once other plans are on sale.
  const [applying, setApplying] = useState<Draft>()
  return (
    <Page title={t.nav.plans} lead={p.lead}>
      <Load of={plans}>
        {(value) => (
          <>
            <OnSale of={value} isOld={version !== undefined} />
            <Edit key={value.version} of={value} onApply={setApplying} />
          </>
        )}
      </Load>
      <Versions current={plans.value} />
      {applying && (
        <ActionDialog
          action={apply}
          of={applying}
          refresh={async () => void (await plans.reload())}
          onClose={() => setApplying(undefined)}
        />
      )}
    </Page>
  )
}

function OnSale({ of: { version, at, by, catalogue }, isOld }: { of: Shown; isOld: boolean }) {
  return (
    <section class="card" aria-label={p.version(version)}>
      <header>
        <h2>{isOld ? p.version(version) : p.onSale(version)}</h2>
        <span class="soft">{at === null ? p.deployed : p.appliedBy(timeText(at), by ?? '')}</span>
      </header>
      {isOld && (
        <p class="notice">
          <span>
            {p.old} <a href={href('plans')}>{p.showCurrent}</a>
          </span>
        </p>
      )}
      <p>{p.trial(catalogue.trialUnits)}</p>
      <Table
        caption={p.version(version)}
        items={catalogue.plans}
        keyOf={({ name }) => name}
        columns={[
          { head: p.name, cell: ({ name, title }) => (title ? `${name} (${title})` : name) },
          { head: p.units, number: true, cell: ({ units }) => numberText(units) },
          { head: p.prices, number: true, cell: ({ prices }) => moneyByCurrency(prices) },
          { head: p.takers, cell: (plan) => p.takersOf[plan.for ?? 'new'] },
          { head: p.listed, cell: ({ hidden }) => (hidden ? t.no : t.yes) },
        ]}
      />
    </section>
  )
}

function Edit({ of, onApply }: { of: Shown; onApply(draft: Draft): void }) {
  const may = useMay()
  const [draft, setDraft] = useState<Draft>()
  if (!may('comparePlans')) return null
  return (
    <section class="card" aria-label={p.edit}>
      <h2>{p.edit}</h2>
      <div class="wide-form" onInput={() => setDraft(undefined)}>
        <Form
          submit={p.compare}
          fields={[
            {
              name: 'json',
              label: p.json,
              hint: p.jsonHint,
              type: 'textarea',
              value: JSON.stringify(of.catalogue, null, 2),
              required: true,
            },
          ]}
          onSubmit={async ({ json = '' }) => {
            const catalogue = parsed(json)
            const compared = await call('comparePlans', { catalogue }).catch((error) =>
              Promise.reject(atField(error)),
            )
            setDraft({ catalogue, compared })
          }}
        />
      </div>
      {draft && (
        <div class="stack" role="status">
          <Changes of={draft.compared.changes} />
          {draft.compared.changes.length > 0 && may('applyPlans') && (
            <p>
              <button type="button" onClick={() => onApply(draft)}>
                {p.apply}
              </button>
            </p>
          )}
        </div>
      )}
    </section>
  )
}

/** What `plans show --json` has printed can be pasted as it is. @throws BursarError that names the field */
function parsed(json: string): Catalogue {
  try {
    const value = JSON.parse(json) as { catalogue?: Catalogue } & Catalogue
    return value.catalogue ?? value
  } catch (error) {
    throw mistake(`${p.notJson} ${(error as Error).message}`)
  }
}

const mistake = (message: string) =>
  new BursarError('invalid_request', { status: 400, message, errors: [{ field: 'json', message }] })

/** Every mistake of the plans, at the one field that they are in. */
const atField = (error: unknown): unknown =>
  hasCode(error, 'invalid_request')
    ? mistake(
        (error.errors ?? []).map(({ field, message }) => `${field} ${message}`).join('; ') || error.message,
      )
    : error

const apply: Action<Draft> = {
  call: 'applyPlans',
  title: p.apply,
  says: ({ compared }) => p.applySays(compared.changes.length),
  async run({ catalogue, compared }, { reason = '' }) {
    const { version, isNew } = await call('applyPlans', { catalogue, replaces: compared.replaces, reason })
    return { text: isNew ? p.applied(version) : p.sameAlready(version) }
  },
}

function Changes({ of }: { of: Compared['changes'] }) {
  if (of.length === 0) return <p>{p.noChanges}</p>
  return (
    <Table
      caption={p.changes}
      items={of}
      keyOf={({ plan, change, field }) => `${plan} ${change} ${field}`}
      columns={[
        { head: p.name, cell: ({ plan }) => plan ?? '–' },
        {
          head: p.change,
          cell: ({ change }) => <span class={`tag ${p.looks[change]}`}>{p.changeOf[change]}</span>,
        },
        { head: p.field, cell: ({ field }) => field ?? '–' },
        { head: t.action.before, cell: ({ before }) => <code>{shown(before)}</code> },
        { head: t.action.after, cell: ({ after }) => <code>{shown(after)}</code> },
      ]}
    />
  )
}

function Versions({ current }: { current: Shown | undefined }) {
  return (
    <section class="card" aria-label={p.versions}>
      <h2>{p.versions}</h2>
      <Paged
        of={[current?.version]}
        empty={p.noVersions}
        read={async (cursor) => {
          const { value, cursor: next } = await callPage('listPlanVersions', { cursor })
          return { items: value.versions, cursor: next }
        }}
      >
        {(items) => (
          <Table
            caption={p.versions}
            items={items}
            keyOf={({ version }) => String(version)}
            columns={[
              {
                head: p.versionHead,
                cell: ({ version }) => (
                  <a href={href('plans', { version: String(version) })}>{p.version(version)}</a>
                ),
              },
              { head: t.account.purchase.at, cell: ({ at }) => (at === null ? '–' : timeText(at)) },
              { head: t.account.by, cell: ({ by }) => by ?? '–' },
              { head: t.action.reason, cell: ({ reason }) => reason ?? '–' },
            ]}
          />
        )}
      </Paged>
    </section>
  )
}
