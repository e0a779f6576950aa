import { useLocation } from 'preact-iso'
import { Door } from '../door.tsx'
import { t } from '../messages.ts'
import { href } from '../paths.ts'
import { SignInForm } from '../sign-in-form.tsx'

export default function SignIn() {
  const { query, route } = useLocation()
  // Only a path of this page's own: `//elsewhere` and `https://…` would leave it.
  const to = query.to && /^\/(?![/\\])/.test(query.to) ? query.to : href('overview')
  return (
    <Door title={t.signIn.title}>
      <SignInForm restores onDone={() => route(to, true)} />
      <ul class="list">
        <li>
          <a href={href('register')}>{t.signIn.register}</a>
        </li>
        <li>
          <a href={href('reset')}>{t.signIn.forgot}</a>
        </li>
        <li>
          <a href={href('recovery')}>{t.signIn.lostCodes}</a>
        </li>
      </ul>
    </Door>
  )
}
