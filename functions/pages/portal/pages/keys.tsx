import type { Endpoints } from 'bursar/client'
import { useState } from 'preact/hooks'
import { Copy } from '../../kit/copy.tsx'
import { Dialog } from '../../kit/dialog.tsx'
import { ActionButton, type FieldSpec, Form, type Values } from '../../kit/form.tsx'
import { dayText, numberText } from '../../kit/language.ts'
import { Load, useResource } from '../../kit/resource.tsx'
import { useAccount } from '../context.tsx'
import { t } from '../messages.ts'
import { Page } from '../page.tsx'
import { prove, proved } from '../proof.tsx'
import { client } from '../session.ts'

type Key = Endpoints['keys.list']['answer'][number]
type Doing =
  | { what: 'create' }
  | { what: 'edit' | 'rotate' | 'delete'; key: Key }
  | { what: 'show'; name: string; secret: string }

/** Graces of a rotation, seconds. */
const GRACES = [0, 3_600, 86_400, 604_800]

export default function Keys() {
  const account = useAccount()
  const keys = useResource(() => client.keys.list())
  const [doing, setDoing] = useState<Doing>()
  const changed = () => Promise.all([keys.reload(), account.reload()])
  return (
    <Page title={t.nav.keys} lead={t.keys.lead}>
      <section class="card">
        <h2>{t.keys.defaultKey}</h2>
        <Load of={account}>{(user) => <DefaultKey secret={user.apiKey} />}</Load>
      </section>
      <section class="card">
        <header>
          <h2>{t.keys.all}</h2>
          <button type="button" onClick={() => setDoing({ what: 'create' })}>
            {t.keys.create}
          </button>
        </header>
        <Load of={keys} empty={{ when: (list) => list.length === 0, text: t.keys.empty }}>
          {(list) => (
            <ul class="list">
              {list.map((key) => (
                <li key={key.id}>
                  <span class="grow">
                    {key.name} <code>{`${key.prefix}…${key.last4}`}</code>
                    <small>{about(key)}</small>
                  </span>
                  {!key.enabled && <span class="tag warn">{t.keys.disabled}</span>}
                  {verbsOf(key, account.value?.apiKey).map((what) => (
                    <button
                      key={what}
                      type="button"
                      class="quiet"
                      aria-label={t.keys.verbOf[what](key.name)}
                      onClick={() => setDoing({ what, key })}
                    >
                      {t.keys.verbs[what]}
                    </button>
                  ))}
                </li>
              ))}
            </ul>
          )}
        </Load>
      </section>
      {doing && <KeyDialog of={doing} go={setDoing} changed={changed} />}
    </Page>
  )
}

interface KeyDialogProps {
  of: Doing
  go(next: Doing | undefined): void
  changed(): Promise<unknown>
}

/** The dialog of what is being done to a key; a new secret is shown in it once. */
function KeyDialog({ of, go, changed }: KeyDialogProps) {
  const close = () => go(undefined)
  const finish = async () => {
    close()
    await changed()
  }
  return (
    <>
      {of.what === 'create' && (
        <Dialog title={t.keys.create} onClose={close}>
          <Form
            submit={t.keys.create}
            fields={settingFields()}
            onSubmit={async (values) => {
              const made = await proved(() => client.keys.create(settingsOf(values)))
              go({ what: 'show', name: made.name, secret: made.key })
              await changed()
            }}
          />
        </Dialog>
      )}
      {of.what === 'edit' && (
        <Dialog title={t.keys.verbOf.edit(of.key.name)} onClose={close}>
          <Form
            submit={t.words.save}
            fields={[
              ...settingFields(of.key),
              { name: 'enabled', label: t.keys.enabled, type: 'checkbox', value: of.key.enabled },
            ]}
            onSubmit={async (values) => {
              await proved(() =>
                client.keys.change(of.key.id, { ...settingsOf(values), enabled: values.enabled === 'on' }),
              )
              await finish()
            }}
          />
        </Dialog>
      )}
      {of.what === 'rotate' && (
        <Dialog title={t.keys.verbOf.rotate(of.key.name)} onClose={close}>
          <p>{t.keys.rotateText}</p>
          <Form
            submit={t.keys.verbs.rotate}
            fields={[
              {
                name: 'grace',
                label: t.keys.grace,
                type: 'select',
                value: '3600',
                options: GRACES.map((seconds) => ({ value: String(seconds), label: t.keys.graces(seconds) })),
              },
            ]}
            onSubmit={async ({ grace }) => {
              const made = await proved(() => client.keys.rotate(of.key.id, { graceSeconds: Number(grace) }))
              go({ what: 'show', name: made.name, secret: made.key })
              await changed()
            }}
          />
        </Dialog>
      )}
      {of.what === 'delete' && (
        <Dialog title={t.keys.verbOf.delete(of.key.name)} onClose={close}>
          <p>{t.keys.deleteText}</p>
          <Form
            danger
            submit={t.keys.verbs.delete}
            fields={[]}
            onSubmit={async () => {
              await proved(() => client.keys.delete(of.key.id))
              await finish()
            }}
          />
        </Dialog>
      )}
      {of.what === 'show' && (
        <Dialog title={of.name} onClose={close}>
          <p>{t.keys.once}</p>
          <Copy text={of.secret} label={t.keys.key} />
          <div class="actions">
            <button type="button" onClick={close}>
              {t.keys.kept}
            </button>
          </div>
        </Dialog>
      )}
    </>
  )
}

/** Until the person has proved lately who they are, the API shows only the ends of the default key. */
function DefaultKey({ secret }: { secret: string }) {
  const account = useAccount()
  const [shown, setShown] = useState(false)
  const isWhole = !secret.includes('...')
  const show = async () => {
    if (!isWhole) {
      await prove()
      await account.reload()
    }
    setShown(true)
  }
  return (
    <>
      <p>{t.keys.defaultText}</p>
      {shown && isWhole ? (
        <Copy text={secret} label={t.keys.defaultKey} />
      ) : (
        <div class="actions">
          <ActionButton run={show}>{t.keys.show}</ActionButton>
        </div>
      )}
    </>
  )
}

/** The default key, of which the account shows the beginning, cannot be deleted. */
const verbsOf = ({ prefix }: Key, defaultKey = '') =>
  defaultKey.startsWith(prefix) ? (['edit', 'rotate'] as const) : (['edit', 'rotate', 'delete'] as const)

/** The settings of a key in one line. */
const about = ({ createdAt, lastUsedDay, expiresAt, scopes, budget, rate, ip, graceUntil }: Key): string =>
  [
    t.keys.created(dayText(createdAt)),
    lastUsedDay === null ? t.keys.unused : t.keys.lastUsed(dayText(lastUsedDay)),
    expiresAt && t.keys.expires(dayText(expiresAt)),
    scopes.length > 0 && scopes.join(' '),
    budget && t.keys.budgetText(numberText(budget.units), budget.per),
    rate && t.keys.rateText(numberText(rate.unitsPerSecond)),
    ip?.join(', '),
    graceUntil && t.keys.graceUntil(dayText(graceUntil)),
  ]
    .filter(Boolean)
    .join(' · ')

const settingFields = (key?: Key): FieldSpec[] => [
  { name: 'name', label: t.keys.name, required: true, maxlength: 64, value: key?.name },
  { name: 'expiresAt', label: t.keys.expiry, type: 'date', value: key?.expiresAt?.slice(0, 10) },
  { name: 'scopes', label: t.keys.scopes, hint: t.keys.scopesHint, value: key?.scopes.join(' ') },
  {
    name: 'budgetUnits',
    label: t.keys.budget,
    hint: t.keys.budgetHint,
    type: 'number',
    min: 1,
    inputmode: 'numeric',
    value: key?.budget ? String(key.budget.units) : undefined,
  },
  {
    name: 'budgetPer',
    label: t.keys.budgetPer,
    type: 'select',
    value: key?.budget?.per ?? 'month',
    options: (['day', 'month', 'total'] as const).map((value) => ({ value, label: t.keys.per[value] })),
  },
  {
    name: 'rate',
    label: t.keys.rate,
    type: 'number',
    min: 1,
    inputmode: 'numeric',
    value: key?.rate ? String(key.rate.unitsPerSecond) : undefined,
  },
  { name: 'ip', label: t.keys.ip, hint: t.keys.ipHint, value: key?.ip?.join(' ') },
]

const wordsOf = (text = ''): string[] | null => {
  const parts = text.split(/[\s,]+/).filter((part) => part !== '')
  return parts.length > 0 ? parts : null
}

/** The settings of a form; an empty field takes a setting away. */
const settingsOf = ({ name = '', expiresAt, scopes, budgetUnits, budgetPer, rate, ip }: Values) => ({
  name,
  expiresAt: expiresAt ? `${expiresAt}T23:59:59Z` : null,
  scopes: wordsOf(scopes),
  budget: budgetUnits ? { units: Number(budgetUnits), per: budgetPer as 'day' | 'month' | 'total' } : null,
  rate: rate ? { unitsPerSecond: Number(rate), burst: Math.ceil(Number(rate)) } : null,
  ip: wordsOf(ip),
})
