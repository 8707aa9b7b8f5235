# setup.ps1: what setup.sh is on Unix. VapourSynth and its plugins go into .venv in
# the current folder and are registered with VapourSynth's own commands. Run it
# again at any time; what is there already is left alone.
#
#   powershell -ExecutionPolicy Bypass -File setup.ps1
$ErrorActionPreference = 'Stop'

function Fail([string] $sentence) {
    Write-Host "setup.ps1: $sentence"
    exit 1
}

# Native programs end with exit codes, of which PowerShell 5 makes no errors.
function Invoke-Checked([string] $program, [string[]] $arguments) {
    & $program @arguments
    if ($LASTEXITCODE -ne 0) { Fail "``$program $arguments`` failed with exit code $LASTEXITCODE; see above" }
}

# A Python 3.12 or newer: the launcher's, else that of the PATH. The shop's stand-in
# for `python` prints nothing and fails, so it is passed over.
function Find-Python {
    $new = 'import sys; print(sys.executable if sys.version_info >= (3, 12) else str())'
    foreach ($command in 'py', 'python', 'python3') {
        if (-not (Get-Command $command -ErrorAction SilentlyContinue)) { continue }
        try { $found = & $command -c $new 2>$null } catch { continue }
        if ($LASTEXITCODE -eq 0 -and $found) { return $found }
    }
    return $null
}

$python = Find-Python
if (-not $python) {
    Fail 'no Python 3.12 or newer is here; run `winget install Python.Python.3.13`, open a new window and run this again'
}
$own = Join-Path (Get-Location) '.venv\Scripts\python.exe'
if (-not (Test-Path -LiteralPath $own)) {
    Write-Host "Making .venv with $python"
    Invoke-Checked $python @('-m', 'venv', '.venv')
}
$list = Join-Path $PSScriptRoot 'vapoursynth.txt'
Write-Host 'Installing VapourSynth and its plugins into .venv'
Invoke-Checked $own @('-m', 'pip', 'install', '--disable-pip-version-check', '--quiet', '-r', $list)
Write-Host 'Registering .venv with VapourSynth'
Invoke-Checked $own @('-m', 'vapoursynth', 'config')
Invoke-Checked $own @('-m', 'vapoursynth', 'register-install')

# What it does not install is said, and what to type.
foreach ($row in @(
        @('SvtAv1EncApp', 'put SvtAv1EncApp.exe of SVT-AV1 or of a fork into a folder of the PATH'),
        @('mkvmerge', 'for `progression-boost encode`: winget install MoritzBunkus.MKVToolNix, and its folder on the PATH'))) {
    if (-not (Get-Command $row[0] -ErrorAction SilentlyContinue)) { Write-Host "There is no $($row[0]): $($row[1])" }
}
Write-Host 'Ready. `progression-boost doctor` looks at everything.'
