import { useState } from 'preact/hooks'
import { Form } from '../../kit/form.tsx'
import { useConfig } from '../context.tsx'
import { Door } from '../door.tsx'
import { t } from '../messages.ts'
import { newPasswordField } from '../password-field.ts'
import { href } from '../paths.ts'
import { client } from '../session.ts'

const codeField = { name: 'code', label: t.confirm.code, autocomplete: 'one-time-code', required: true }

/** Back into an account whose two-factor codes are lost: a mailed code, 72 hours, another mailed code. */
export default function Recovery() {
  const config = useConfig()
  const [begun, setBegun] = useState(false)
  return (
    <Door title={t.recovery.title} lead={t.recovery.lead}>
      <h2>{t.recovery.askTitle}</h2>
      <Form
        submit={t.recovery.ask}
        done={t.recovery.asked}
        onSubmit={async ({ email = '' }) => client.recovery.requestCode({ email })}
        fields={[
          { name: 'email', label: t.register.email, type: 'email', autocomplete: 'email', required: true },
        ]}
      />
      <h2>{t.recovery.beginTitle}</h2>
      {begun ? (
        <p class="notice good">{t.recovery.begun}</p>
      ) : (
        <Form
          submit={t.recovery.begin}
          onSubmit={async ({ code = '' }) => {
            await client.recovery.begin({ code: code.trim() })
            setBegun(true)
          }}
          fields={[codeField]}
        />
      )}
      <h2>{t.recovery.finishTitle}</h2>
      <Form
        submit={t.recovery.finish}
        done={t.recovery.finished}
        onSubmit={async ({ code = '', password = '' }) =>
          client.recovery.finish({ code: code.trim(), password })
        }
        fields={[codeField, newPasswordField(config)]}
      />
      <p>
        <a href={href('signIn')}>{t.back}</a>
      </p>
    </Door>
  )
}
