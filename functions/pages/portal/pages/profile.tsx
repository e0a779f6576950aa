import { useState } from 'preact/hooks'
import { Dialog } from '../../kit/dialog.tsx'
import { download } from '../../kit/download.ts'
import { ActionButton, Form } from '../../kit/form.tsx'
import { hasCode } from '../../kit/problem.ts'
import { Load, useResource } from '../../kit/resource.tsx'
import { Billing } from '../billing.tsx'
import { useAccount } from '../context.tsx'
import { t } from '../messages.ts'
import { Page } from '../page.tsx'
import { proved } from '../proof.tsx'
import { client, session } from '../session.ts'

export default function Profile() {
  const account = useAccount()
  const user = useResource(() => client.users.getCurrent())
  return (
    <Page title={t.nav.profile}>
      <section class="card">
        <h2>{t.profile.names}</h2>
        <Load of={user}>
          {({ name }) => (
            <Form
              submit={t.words.save}
              done={t.words.saved}
              onSubmit={async ({ name = '' }) => {
                await client.users.updateCurrent({ name })
                await Promise.all([user.reload(), account.reload()])
              }}
              fields={[
                {
                  name: 'name',
                  label: t.profile.fullName,
                  autocomplete: 'name',
                  required: true,
                  value: name,
                },
              ]}
            />
          )}
        </Load>
      </section>
      <section class="card">
        <h2>{t.profile.signInNames}</h2>
        <Load of={account}>
          {({ username: current, email, pendingEmail, emailUndeliverable }) => (
            <>
              {emailUndeliverable && <p class="notice warn">{t.toDo.undeliverable(email)}</p>}
              {pendingEmail && <p class="notice">{t.profile.pending(pendingEmail)}</p>}
              <Form
                submit={t.words.save}
                done={t.words.saved}
                onSubmit={async ({ username = '', email: next = '' }) => {
                  await proved(() =>
                    client.users.update(current, {
                      ...(username !== current && { username }),
                      ...((next !== email || emailUndeliverable) && { email: next }),
                    }),
                  )
                  await Promise.all([user.reload(), account.reload()])
                }}
                fields={[
                  {
                    name: 'username',
                    label: t.register.username,
                    value: current,
                    required: true,
                    autocomplete: 'username',
                    minlength: 3,
                    maxlength: 32,
                  },
                  {
                    name: 'email',
                    label: t.register.email,
                    type: 'email',
                    autocomplete: 'email',
                    required: true,
                    value: email,
                  },
                ]}
              />
            </>
          )}
        </Load>
      </section>
      <Billing />
      <section class="card">
        <h2>{t.profile.data}</h2>
        <p>{t.profile.exportText}</p>
        <div class="actions">
          <ActionButton run={saveExport}>{t.profile.export}</ActionButton>
        </div>
      </section>
      <Leaving />
    </Page>
  )
}

/** Joins the pages of an export, section by section. */
async function saveExport(): Promise<void> {
  const whole: Record<string, unknown> = {}
  await proved(async () => {
    for await (const page of client.account.export()) {
      for (const [name, value] of Object.entries(page)) {
        const before = whole[name]
        whole[name] = Array.isArray(before) && Array.isArray(value) ? [...before, ...value] : value
      }
    }
  })
  download('account.json', 'application/json', JSON.stringify(whole, null, 2))
}

function Leaving() {
  const [asking, setAsking] = useState<'deactivate' | 'delete'>()
  const [forfeits, setForfeits] = useState(false)
  const close = () => {
    setAsking(undefined)
    setForfeits(false)
  }
  return (
    <section class="card">
      <h2>{t.profile.leaving}</h2>
      <p>{t.profile.leavingText}</p>
      <div class="actions">
        <button type="button" class="quiet" onClick={() => setAsking('deactivate')}>
          {t.profile.deactivate}
        </button>
        <button type="button" class="danger" onClick={() => setAsking('delete')}>
          {t.profile.delete}
        </button>
      </div>
      {asking === 'deactivate' && (
        <Dialog title={t.profile.deactivate} onClose={close}>
          <p>{t.profile.deactivateText}</p>
          <Form
            danger
            submit={t.profile.deactivate}
            fields={[]}
            onSubmit={async () => {
              await proved(() => client.users.deactivate())
              session.value = 'out'
            }}
          />
        </Dialog>
      )}
      {asking === 'delete' && (
        <Dialog title={t.profile.delete} onClose={close}>
          <p>{t.profile.deleteText}</p>
          {forfeits && <p class="notice warn">{t.profile.forfeitText}</p>}
          <Form
            danger
            submit={forfeits ? t.profile.deleteAnyway : t.profile.delete}
            fields={[]}
            onSubmit={async () => {
              try {
                await proved(() => client.account.delete(forfeits ? { units: 'forfeit' } : {}))
              } catch (error) {
                if (!hasCode(error, 'units_left')) throw error
                return setForfeits(true)
              }
              session.value = 'out'
            }}
          />
        </Dialog>
      )}
    </section>
  )
}
