import { useState } from 'preact/hooks'
import { useLocation } from 'preact-iso'
import { ActionButton, Form, type Values } from '../kit/form.tsx'
import { canUsePasskeys, signWithPasskey } from '../kit/passkey.ts'
import { hasCode } from '../kit/problem.ts'
import { codeField } from './code-field.ts'
import { t } from './messages.ts'
import { href } from './paths.ts'
import { client, registered } from './session.ts'

/** Signs in by name and password, then by code if the account asks for one, or by passkey alone. */
export function SignInForm({ onDone, restores }: { onDone(): void; restores?: boolean }) {
  const { route } = useLocation()
  const [needsCode, setNeedsCode] = useState(false)
  const [deactivated, setDeactivated] = useState<Values>()

  async function signIn({ name = '', password = '', twofa }: Values) {
    const who = name.includes('@') ? { email: name } : { username: name }
    const proof = { ...who, password, ...(twofa && { twofa }) }
    try {
      if (restores && deactivated) await client.users.restore(proof)
      await client.sessions.login({ ...proof, session: 'cookie' })
    } catch (error) {
      if (hasCode(error, 'two_factor_required')) {
        setNeedsCode(true)
        if (!twofa) focusCode()
      }
      if (hasCode(error, 'email_unconfirmed')) {
        registered.value = { ...who, password }
        return route(href('confirm') + ('email' in who ? `?email=${encodeURIComponent(name)}` : ''))
      }
      if (hasCode(error, 'account_deactivated') && restores) setDeactivated({ name })
      throw error
    }
    onDone()
  }

  const focusCode = () =>
    requestAnimationFrame(() => document.querySelector<HTMLElement>('[name=twofa]')?.focus())

  return (
    <>
      <Form
        submit={deactivated ? t.signIn.restore : t.signIn.submit}
        onSubmit={signIn}
        fields={[
          { name: 'name', label: t.signIn.name, autocomplete: 'username webauthn', required: true },
          {
            name: 'password',
            label: t.signIn.password,
            type: 'password',
            autocomplete: 'current-password',
            required: true,
          },
          ...(needsCode ? [codeField] : []),
        ]}
      />
      {canUsePasskeys && (
        <ActionButton
          run={async () => {
            const passkey = await signWithPasskey(await client.passkeys.challenge())
            await client.sessions.loginWithPasskey({ passkey, session: 'cookie' })
            onDone()
          }}
        >
          {t.signIn.passkey}
        </ActionButton>
      )}
    </>
  )
}
