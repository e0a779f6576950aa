import { Form } from '../../kit/form.tsx'
import { Load } from '../../kit/resource.tsx'
import { type User, useAccount, useConfig } from '../context.tsx'
import { t } from '../messages.ts'
import { Page } from '../page.tsx'
import { RenewalSentence } from '../renewal-sentence.tsx'
import { client } from '../session.ts'

export default function AutoRenewal() {
  const account = useAccount()
  return (
    <Page title={t.nav.renewal} lead={t.renewal.lead}>
      <Load of={account}>
        {(user) => (
          <>
            <section class="card">
              <h2>{t.renewal.state}</h2>
              <RenewalSentence user={user} />
            </section>
            <section class="card">
              <h2>{t.renewal.switches}</h2>
              <Form
                submit={t.words.save}
                done={t.words.saved}
                onSubmit={async ({ bundleAutoRenewal, lowQuotaNotification }) => {
                  await client.account.setFlags({
                    bundleAutoRenewal: bundleAutoRenewal === 'on',
                    lowQuotaNotification: lowQuotaNotification === 'on',
                  })
                  await account.reload()
                }}
                fields={[
                  {
                    name: 'bundleAutoRenewal',
                    label: t.renewal.flag,
                    type: 'checkbox',
                    value: user.flags.bundleAutoRenewal,
                    hint: t.renewal.flagHint,
                  },
                  {
                    name: 'lowQuotaNotification',
                    label: t.renewal.lowFlag,
                    type: 'checkbox',
                    value: user.flags.lowQuotaNotification,
                    hint: t.renewal.lowFlagHint,
                  },
                ]}
              />
            </section>
            <Limits user={user} onSaved={account.reload} />
            <Alerts user={user} onSaved={account.reload} />
          </>
        )}
      </Load>
    </Page>
  )
}

const numberOrNull = (text = ''): number | null => (text.trim() === '' ? null : Number(text))
/** `500` is a number of units, `10%` a share of the bundle. */
const threshold = (text: string): number | string =>
  /^\d+$/.test(text.trim()) ? Number(text) : text.replace(/\s/g, '')

function Limits({ user: { renewal }, onSaved }: { user: User; onSaved(): Promise<void> }) {
  const { bundles } = useConfig()
  const text = (value: number | null | undefined) =>
    value === null || value === undefined ? '' : String(value)
  return (
    <section class="card">
      <h2>{t.renewal.limits}</h2>
      <Form
        submit={t.words.save}
        done={t.words.saved}
        onSubmit={async ({ monthlyCap, below = '', bundle = '', maxPerHour, maxPerDay }) => {
          await client.renewal.set({
            monthlyCap: numberOrNull(monthlyCap),
            maxPerHour: numberOrNull(maxPerHour),
            maxPerDay: numberOrNull(maxPerDay),
            below: below.trim() === '' ? null : threshold(below),
            bundle: bundle === '' ? null : bundle,
          })
          await onSaved()
        }}
        fields={[
          {
            name: 'monthlyCap',
            label: t.renewal.cap,
            hint: t.renewal.capHint,
            type: 'number',
            min: 0,
            step: '0.01',
            inputmode: 'decimal',
            value: text(renewal.monthlyCap),
          },
          { name: 'below', label: t.renewal.below, hint: t.renewal.belowHint, value: String(renewal.below) },
          {
            name: 'bundle',
            label: t.renewal.bundle,
            type: 'select',
            value: renewal.bundle ?? '',
            options: [
              { value: '', label: t.renewal.sameBundle },
              ...bundles.map(({ name, title }) => ({ value: name, label: title })),
            ],
          },
          {
            name: 'maxPerHour',
            label: t.renewal.perHour,
            type: 'number',
            min: 1,
            inputmode: 'numeric',
            value: text(renewal.maxPerHour),
          },
          {
            name: 'maxPerDay',
            label: t.renewal.perDay,
            type: 'number',
            min: 1,
            inputmode: 'numeric',
            value: text(renewal.maxPerDay),
          },
        ]}
      />
    </section>
  )
}

function Alerts({ user: { alerts }, onSaved }: { user: User; onSaved(): Promise<void> }) {
  return (
    <section class="card">
      <h2>{t.renewal.alerts}</h2>
      <Form
        submit={t.words.save}
        done={t.words.saved}
        onSubmit={async ({ alerts: list = '' }) => {
          const parts = list.split(/[,;\s]+/).filter((part) => part !== '')
          await client.account.setAlerts({
            alerts: parts.map((part) => ({ below: threshold(part) })),
          } as never)
          await onSaved()
        }}
        fields={[
          {
            name: 'alerts',
            label: t.renewal.alertList,
            hint: t.renewal.alertHint,
            value: alerts.map(({ below }) => below).join(', '),
          },
        ]}
      />
    </section>
  )
}
