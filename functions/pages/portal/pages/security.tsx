import { Load } from '../../kit/resource.tsx'
import { useAccount, useConfig } from '../context.tsx'
import { t } from '../messages.ts'
import { Page } from '../page.tsx'
import { Activity } from '../security/activity.tsx'
import { Passkeys } from '../security/passkeys.tsx'
import { Password } from '../security/password.tsx'
import { Sessions } from '../security/sessions.tsx'
import { TwoFactor } from '../security/two-factor.tsx'

export default function Security() {
  const account = useAccount()
  const { factors } = useConfig()
  return (
    <Page title={t.nav.security} lead={t.security.lead}>
      <Load of={account}>
        {(user) => (
          <>
            <Password twofa={user.twofa} />
            {factors.totp && <TwoFactor on={user.twofa} onChanged={account.reload} />}
          </>
        )}
      </Load>
      {factors.passkeys && <Passkeys />}
      <Sessions />
      <Activity />
    </Page>
  )
}
