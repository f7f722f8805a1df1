; The engine lies in the user's data folder, where the uninstaller would leave gigabytes. An update keeps it.
!macro customUnInstall
  ${ifNot} ${isUpdated}
    nsExec::ExecToLog '"$INSTDIR\resources\backend\peft_engine.exe" --remove --quiet'
    Pop $0
  ${endIf}
!macroend
