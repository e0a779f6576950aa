import { useState } from 'preact/hooks'
import { Dialog } from '../../kit/dialog.tsx'
import { ActionButton, Form } from '../../kit/form.tsx'
import { agoText, dayText } from '../../kit/language.ts'
import { canUsePasskeys, makePasskey } from '../../kit/passkey.ts'
import { Load, useResource } from '../../kit/resource.tsx'
import { t } from '../messages.ts'
import { proved } from '../proof.tsx'
import { client } from '../session.ts'

export function Passkeys() {
  const passkeys = useResource(() => client.passkeys.list())
  const [naming, setNaming] = useState<'new' | { id: string; name: string }>()
  return (
    <section class="card">
      <header>
        <h2>{t.security.passkeys}</h2>
        {canUsePasskeys && (
          <button type="button" onClick={() => setNaming('new')}>
            {t.security.addPasskey}
          </button>
        )}
      </header>
      <p>{canUsePasskeys ? t.security.passkeysText : t.security.noPasskeys}</p>
      <Load of={passkeys} empty={{ when: (list) => list.length === 0, text: t.security.passkeysEmpty }}>
        {(list) => (
          <ul class="list">
            {list.map(({ id, name, createdAt, lastUsedAt }) => (
              <li key={id}>
                <span class="grow">
                  {name}
                  <small>
                    {t.keys.created(dayText(createdAt))} ·{' '}
                    {lastUsedAt ? t.keys.lastUsed(agoText(lastUsedAt)) : t.keys.unused}
                  </small>
                </span>
                <button
                  type="button"
                  class="quiet"
                  aria-label={t.security.renameOf(name)}
                  onClick={() => setNaming({ id, name })}
                >
                  {t.security.rename}
                </button>
                <ActionButton
                  label={t.security.removeOf(name)}
                  run={async () => {
                    await proved(() => client.passkeys.remove(id))
                    await passkeys.reload()
                  }}
                >
                  {t.remove}
                </ActionButton>
              </li>
            ))}
          </ul>
        )}
      </Load>
      {naming && (
        <Dialog
          title={naming === 'new' ? t.security.addPasskey : t.security.renameOf(naming.name)}
          onClose={() => setNaming(undefined)}
        >
          <Form
            submit={naming === 'new' ? t.security.addPasskey : t.words.save}
            onSubmit={async ({ name = '' }) => {
              if (naming === 'new') {
                const options = await proved(() => client.passkeys.options())
                const passkey = await makePasskey(options)
                await proved(() => client.passkeys.add({ name, passkey }))
              } else await client.passkeys.rename(naming.id, { name })
              setNaming(undefined)
              await passkeys.reload()
            }}
            fields={[
              {
                name: 'name',
                label: t.keys.name,
                required: true,
                maxlength: 64,
                value: naming === 'new' ? undefined : naming.name,
              },
            ]}
          />
        </Dialog>
      )}
    </section>
  )
}
