import '../kit/style.css'
import { render } from 'preact'
import { App } from './app.tsx'

const root = document.getElementById('app')
// What the page shows before its script has run goes.
root?.replaceChildren()
if (root) render(<App />, root)
