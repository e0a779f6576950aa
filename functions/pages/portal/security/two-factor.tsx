import type { Endpoints } from 'bursar/client'
import { useState } from 'preact/hooks'
import { Copy } from '../../kit/copy.tsx'
import { Dialog } from '../../kit/dialog.tsx'
import { download } from '../../kit/download.ts'
import { ActionButton, Form } from '../../kit/form.tsx'
import { codeField } from '../code-field.ts'
import { t } from '../messages.ts'
import { proved } from '../proof.tsx'
import { client } from '../session.ts'

type Enrolment = Endpoints['twoFactor.enrol']['answer']

export function TwoFactor({ on, onChanged }: { on: boolean; onChanged(): Promise<void> }) {
  const [enrolment, setEnrolment] = useState<Enrolment>()
  const [codes, setCodes] = useState<readonly string[]>()
  const [removing, setRemoving] = useState(false)
  return (
    <section class="card">
      <header>
        <h2>{t.security.twoFactor}</h2>
        <span class={on ? 'tag good' : 'tag'}>{on ? t.security.on : t.security.off}</span>
      </header>
      <p>{t.security.twoFactorText}</p>
      <div class="actions">
        {on ? (
          <button type="button" class="quiet" onClick={() => setRemoving(true)}>
            {t.security.switchOff}
          </button>
        ) : (
          <ActionButton class="" run={async () => setEnrolment(await proved(() => client.twoFactor.enrol()))}>
            {t.security.switchOn}
          </ActionButton>
        )}
      </div>
      {enrolment && (
        <Dialog title={t.security.twoFactor} onClose={() => setEnrolment(undefined)}>
          <p>{t.security.scan}</p>
          <img class="qr" src={enrolment.qr} alt={t.security.qr} />
          <p class="hint">{t.security.orType}</p>
          <Copy text={enrolment.seed} label={t.security.seed} />
          <Form
            submit={t.security.verify}
            onSubmit={async ({ code = '' }) => {
              const { recoveryCodes } = await proved(() => client.twoFactor.verify({ code: code.trim() }))
              setEnrolment(undefined)
              setCodes(recoveryCodes)
              await onChanged()
            }}
            fields={[
              {
                name: 'code',
                label: t.security.firstCode,
                autocomplete: 'one-time-code',
                inputmode: 'numeric',
                required: true,
              },
            ]}
          />
        </Dialog>
      )}
      {codes && (
        <Dialog title={t.security.recoveryCodes} onClose={() => setCodes(undefined)}>
          <p>{t.security.recoveryText}</p>
          <ul class="codes">
            {codes.map((code) => (
              <li key={code}>
                <code>{code}</code>
              </li>
            ))}
          </ul>
          <div class="actions">
            <button
              type="button"
              class="quiet"
              onClick={() => download('recovery-codes.txt', 'text/plain', codes.join('\n'))}
            >
              {t.security.saveCodes}
            </button>
            <button type="button" onClick={() => setCodes(undefined)}>
              {t.keys.kept}
            </button>
          </div>
        </Dialog>
      )}
      {removing && (
        <Dialog title={t.security.switchOff} onClose={() => setRemoving(false)}>
          <Form
            danger
            submit={t.security.switchOff}
            onSubmit={async ({ code = '' }) => {
              await client.twoFactor.remove({ code: code.trim() })
              setRemoving(false)
              await onChanged()
            }}
            fields={[{ ...codeField, name: 'code' }]}
          />
        </Dialog>
      )}
    </section>
  )
}
